// Holds that undo gives back each step, and that quick changes of one kind are one step.

import { expect, test } from 'vitest';
import { COALESCE_MS, emptyHistory, HISTORY_LIMIT, record, redo, undo } from './history.ts';

test('undo and redo walk the same steps', () => {
  let history = record(emptyHistory<string>(), 'a', null, 0);
  history = record(history, 'b', null, 1);
  const back = undo(history, 'c');
  expect(back?.present).toBe('b');
  const first = back && undo(back.history, back.present);
  expect(first?.present).toBe('a');
  expect(first && undo(first.history, first.present)).toBeNull();
  const again = first && redo(first.history, first.present);
  expect(again?.present).toBe('b');
  expect((again && redo(again.history, again.present))?.present).toBe('c');
});

test('typing in one field is one step, until there is a pause', () => {
  let history = record(emptyHistory<string>(), '', 'text', 0);
  history = record(history, 'a', 'text', 100);
  history = record(history, 'ab', 'text', 200);
  expect(history.past).toEqual(['']);
  history = record(history, 'abc', 'text', 201 + COALESCE_MS);
  expect(history.past).toEqual(['', 'abc']);
});

test('changes of different kinds, or of none, are steps of their own', () => {
  let history = record(emptyHistory<number>(), 1, 'a', 0);
  history = record(history, 2, 'b', 1);
  history = record(history, 3, null, 2);
  history = record(history, 4, null, 3);
  expect(history.past).toEqual([1, 2, 3, 4]);
});

test('a change after undo drops what was undone', () => {
  const history = record(emptyHistory<string>(), 'a', null, 0);
  const back = undo(history, 'b');
  expect(back && record(back.history, back.present, null, 1).future).toEqual([]);
});

test('the history is bounded', () => {
  let history = emptyHistory<number>();
  for (let step = 0; step < HISTORY_LIMIT + 50; step += 1) history = record(history, step, null, step);
  expect(history.past).toHaveLength(HISTORY_LIMIT);
  expect(history.past.at(-1)).toBe(HISTORY_LIMIT + 49);
});
