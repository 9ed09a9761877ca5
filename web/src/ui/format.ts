// How durations and moments are written on the page.

import { t } from '../i18n/index.ts';

export function formatSeconds(seconds: number): string {
  if (seconds < 0.095) return t('common.milliseconds', { value: Math.max(1, Math.round(seconds * 1000)) });
  if (seconds < 60) return t('common.seconds', { value: seconds.toFixed(seconds < 10 ? 1 : 0) });
  return t('common.minutes', { minutes: Math.floor(seconds / 60), seconds: Math.round(seconds % 60) });
}

/** Server times are unix seconds or ISO text. */
export function toDate(time: number | string): Date {
  return new Date(typeof time === 'number' ? time * 1000 : time);
}

export function formatMoment(time: number | string, now: Date = new Date()): string {
  const date = toDate(time);
  const sameDay = date.toDateString() === now.toDateString();
  return sameDay
    ? date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
    : date.toLocaleString([], { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
}

export function duration(from: number | string | null, to: number | string | null): string | null {
  if (from === null || to === null) return null;
  return formatSeconds((toDate(to).getTime() - toDate(from).getTime()) / 1000);
}
