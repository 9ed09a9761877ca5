// Undo and redo over immutable documents. Steps that share a key and follow each other closely (typing in a field,
// nudging with the arrow keys) are one step.

export interface History<T> {
  readonly past: readonly T[];
  readonly future: readonly T[];
  readonly key: string | null;
  readonly at: number;
}

/** How long two changes with the same key may lie apart and still be one step, in milliseconds. */
export const COALESCE_MS = 1200;
export const HISTORY_LIMIT = 200;

export const emptyHistory = <T>(): History<T> => ({ past: [], future: [], key: null, at: 0 });

/** Notes that `before` is about to be replaced. */
export function record<T>(history: History<T>, before: T, key: string | null, now: number): History<T> {
  const joins =
    key !== null && key === history.key && now - history.at < COALESCE_MS && history.past.length > 0;
  const past = joins ? history.past : [...history.past, before].slice(-HISTORY_LIMIT);
  return { past, future: [], key, at: now };
}

export function undo<T>(history: History<T>, present: T): { history: History<T>; present: T } | null {
  const before = history.past.at(-1);
  if (before === undefined) return null;
  return {
    present: before,
    history: { past: history.past.slice(0, -1), future: [present, ...history.future], key: null, at: 0 },
  };
}

export function redo<T>(history: History<T>, present: T): { history: History<T>; present: T } | null {
  const [after, ...future] = history.future;
  if (after === undefined) return null;
  return { present: after, history: { past: [...history.past, present], future, key: null, at: 0 } };
}
