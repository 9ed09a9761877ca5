// Promises that nobody waits for: what goes wrong with one is told on the page instead of being lost.

import { ApiError } from '../api/client.ts';
import { t } from '../i18n/index.ts';
import { toast } from './ui.ts';

/** Tells a failure in words. `title` says what a person wanted; without one it was the page that asked. */
export function tell(error: unknown, title?: string): void {
  const expected = error instanceof ApiError;
  // The status line says that the server is away, and once it is back the page asks again by itself.
  if (expected && error.code === 'unreachable' && title === undefined) return;
  if (!expected) console.error(error);
  toast('error', title ?? t('failure.title'), error instanceof Error ? error.message : String(error));
}

/** Lets a promise go its way, and tells if it fails. */
export function report(promise: Promise<unknown>, title?: string): void {
  promise.catch((error: unknown) => tell(error, title));
}

/** For what still slips through: a rejected promise of a library, or one that somebody forgot. */
export function reportUnhandled(page: Window): () => void {
  const onRejection = (event: PromiseRejectionEvent) => tell(event.reason);
  page.addEventListener('unhandledrejection', onRejection);
  return () => page.removeEventListener('unhandledrejection', onRejection);
}
