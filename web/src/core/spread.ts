// Makes room between boxes that overlap, and keeps the arrangement that a person gave them.
//
// Each axis is only ever stretched: of two boxes, the one that came first still does, and their corners are at least as
// far apart as before. So boxes that were apart stay apart, and each pair that overlaps needs one condition: that the
// second begins behind the end of the first, on the axis where this stretches their distance least. What meets all
// conditions with the shortest moves is found in one walk along each axis.

import type { Point } from './document.ts';

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** What lies between two boxes that were moved apart. */
const GAP = 16;
/** Corners that lie this close were meant as one row or column, and move together. */
const SNAP = 16;

/** One axis of all boxes: where they begin, and how long they are with the gap behind them. */
interface Axis {
  readonly at: readonly number[];
  readonly size: readonly number[];
}

type Pair = readonly [first: number, second: number];

/** New top left corners for the boxes, in their order. */
export function spread(boxes: readonly Box[]): Point[] {
  const x = axis(boxes.map((box) => [box.x, box.width]));
  const y = axis(boxes.map((box) => [box.y, box.height]));
  const pairs = overlapping(x, y);
  const beside = pairs.filter((pair) => stretch(x, pair) < stretch(y, pair));
  const below = pairs.filter((pair) => stretch(x, pair) >= stretch(y, pair));
  const ys = stretched(y, below);
  // Where rows have moved, some cards that stood in each other's way no longer do.
  const now: Axis = { at: ys, size: y.size };
  const xs = stretched(
    x,
    beside.filter((pair) => overlaps(now, pair)),
  );
  return boxes.map((box, index) => [xs[index] ?? box.x, ys[index] ?? box.y]);
}

const axis = (spans: readonly (readonly [number, number])[]): Axis => ({
  at: spans.map(([at]) => at),
  size: spans.map(([, size]) => size + GAP),
});

const start = ({ at }: Axis, index: number): number => at[index] ?? 0;
const end = (along: Axis, index: number): number => start(along, index) + (along.size[index] ?? 0);

const comesBefore = (along: Axis, a: number, b: number): boolean =>
  start(along, a) < start(along, b) || (start(along, a) === start(along, b) && a < b);

const ordered = (along: Axis, [a, b]: Pair): Pair => (comesBefore(along, a, b) ? [a, b] : [b, a]);

const overlaps = (along: Axis, [a, b]: Pair): boolean =>
  start(along, a) < end(along, b) && start(along, b) < end(along, a);

/** How many times their distance two boxes must be apart on an axis for them not to overlap. */
function stretch(along: Axis, pair: Pair): number {
  const [first, second] = ordered(along, pair);
  return (end(along, first) - start(along, first)) / (start(along, second) - start(along, first));
}

/** All pairs of boxes that overlap, found by a sweep from left to right. */
function overlapping(x: Axis, y: Axis): Pair[] {
  const pairs: Pair[] = [];
  let open: number[] = [];
  for (const index of inOrder(x)) {
    open = open.filter((other) => end(x, other) > start(x, index));
    for (const other of open) if (overlaps(y, [other, index])) pairs.push([other, index]);
    open.push(index);
  }
  return pairs;
}

const inOrder = (along: Axis): number[] =>
  [...along.at.keys()].sort((a, b) => start(along, a) - start(along, b) || a - b);

/** The smallest starts that keep every pair apart. A row or column moves as far as the one of its boxes that must. */
function stretched(along: Axis, pairs: readonly Pair[]): number[] {
  const before = new Map<number, Set<number>>();
  for (const pair of pairs) {
    const [first, second] = ordered(along, pair);
    before.set(second, (before.get(second) ?? new Set()).add(first));
  }
  const placed = [...along.at];
  let shift = 0;
  for (const line of lines(along, before)) {
    for (const index of line)
      for (const first of before.get(index) ?? []) {
        const needed = (placed[first] ?? 0) + (along.size[first] ?? 0) - start(along, index);
        shift = Math.max(shift, needed);
      }
    for (const index of line) placed[index] = start(along, index) + shift;
  }
  return placed;
}

/** The rows (or columns) in order: boxes that begin close together, and none of which must lie behind another. */
function lines(along: Axis, before: ReadonlyMap<number, ReadonlySet<number>>): number[][] {
  const found: number[][] = [];
  let line: number[] = [];
  for (const index of inOrder(along)) {
    const near = line[0] !== undefined && start(along, index) - start(along, line[0]) < SNAP;
    if (!near || line.some((other) => before.get(index)?.has(other))) {
      line = [];
      found.push(line);
    }
    line.push(index);
  }
  return found;
}
