// Holds that spread boxes no longer overlap, keep their order on both axes, and move no more than they must.

import { expect, test } from 'vitest';
import type { Point } from './document.ts';
import { type Box, spread } from './spread.ts';

const box = (x: number, y: number, width = 200, height = 100): Box => ({ x, y, width, height });

const at = (boxes: readonly Box[], corners: readonly Point[]): Box[] =>
  boxes.map((each, index) => {
    const [x, y] = corners[index] ?? [0, 0];
    return { ...each, x, y };
  });

function overlapCount(boxes: readonly Box[]): number {
  let count = 0;
  for (const [index, a] of boxes.entries())
    for (const b of boxes.slice(index + 1))
      if (a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height)
        count += 1;
  return count;
}

/** Numbers that look drawn and are the same each time. */
function* drawn(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (state * 1103515245 + 12345) % 2147483648;
    yield state / 2147483648;
  }
}

function crowd(count: number, room: number, seed: number): Box[] {
  const numbers = drawn(seed);
  const next = () => numbers.next().value;
  return Array.from({ length: count }, () =>
    box(next() * room, next() * room, 100 + next() * 300, 50 + next() * 500),
  );
}

test('boxes that do not overlap stay where they are', () => {
  const boxes = [box(0, 0), box(300, 0), box(0, 200), box(300, 180)];
  expect(spread(boxes)).toEqual([
    [0, 0],
    [300, 0],
    [0, 200],
    [300, 180],
  ]);
  expect(spread([])).toEqual([]);
});

test('a box that is too tall moves down what stands below it, and the row beside that', () => {
  const boxes = [box(0, 0, 200, 300), box(0, 200), box(400, 204), box(400, 0)];
  expect(spread(boxes)).toEqual([
    [0, 0],
    [0, 316],
    [400, 320],
    [400, 0],
  ]);
});

test('a box that is too wide moves its neighbour aside, not down', () => {
  expect(spread([box(0, 0, 320, 500), box(300, 40, 200, 500)])).toEqual([
    [0, 0],
    [336, 40],
  ]);
});

test.each([1, 2, 3])('no two boxes of a crowd overlap, and none passes another (%i)', (seed) => {
  const boxes = crowd(120, 2500, seed);
  expect(overlapCount(boxes)).toBeGreaterThan(50);
  const moved = at(boxes, spread(boxes));
  expect(overlapCount(moved)).toBe(0);
  for (const [index, a] of boxes.entries())
    for (const [other, b] of boxes.entries()) {
      const [c, d] = [moved[index] ?? a, moved[other] ?? b];
      if (a.x < b.x) expect(d.x - c.x).toBeGreaterThanOrEqual(b.x - a.x - 1e-6);
      if (a.y < b.y) expect(d.y - c.y).toBeGreaterThanOrEqual(b.y - a.y - 1e-6);
    }
});

test('boxes on the very same place are stacked', () => {
  const boxes = [box(10, 10), box(10, 10), box(12, 11)];
  expect(overlapCount(at(boxes, spread(boxes)))).toBe(0);
});

test('a thousand boxes take well under a second', () => {
  const boxes = crowd(1000, 8000, 7);
  const began = performance.now();
  const corners = spread(boxes);
  expect(performance.now() - began).toBeLessThan(500);
  expect(overlapCount(at(boxes, corners))).toBe(0);
  expect(spread(boxes)).toEqual(corners);
});
