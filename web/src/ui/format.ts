// How durations and moments are written on the page.

import { t } from '../i18n/index.ts';

export function formatSeconds(seconds: number): string {
  if (seconds < 0.095) return t('common.milliseconds', { value: Math.max(1, Math.round(seconds * 1000)) });
  if (seconds < 60) return t('common.seconds', { value: seconds.toFixed(seconds < 10 ? 1 : 0) });
  return t('common.minutes', { minutes: Math.floor(seconds / 60), seconds: Math.round(seconds % 60) });
}

/** Server times are in seconds since 1970. */
export const toDate = (seconds: number): Date => new Date(seconds * 1000);

export function formatMoment(time: number, now: Date = new Date()): string {
  const date = toDate(time);
  const sameDay = date.toDateString() === now.toDateString();
  return sameDay
    ? date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
    : date.toLocaleString([], { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
}

export function duration(from: number | null, to: number | null): string | null {
  if (from === null || to === null) return null;
  return formatSeconds(to - from);
}
