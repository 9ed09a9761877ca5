// Holds that a spread document has no overlaps, and that frames and former subgraphs stay whole.

import { expect, test } from 'vitest';
import { type Bounds, EMPTY_DOCUMENT, type GraphDocument, type Group, makeNode } from './document.ts';
import { spreadDocument } from './spread-document.ts';

const sizeOf = () => ({ width: 200, height: 300 });

const frame = (...bounds: [number, number, number, number]): Group => ({
  title: 'F',
  bounds,
  color: null,
  text: null,
});

function documentOf(places: Record<string, [number, number]>, groups: Group[] = []): GraphDocument {
  const nodes = Object.entries(places).map(([id, pos]) => [id, makeNode(id, 'X', { pos })] as const);
  return { ...EMPTY_DOCUMENT, nodes: Object.fromEntries(nodes), groups };
}

const cardBounds = (doc: GraphDocument, id: string): Bounds => {
  const [x, y] = doc.nodes[id]?.pos ?? [0, 0];
  return [x, y, 200, 300];
};

const overlap = (a: Bounds, b: Bounds): boolean =>
  a[0] < b[0] + b[2] && b[0] < a[0] + a[2] && a[1] < b[1] + b[3] && b[1] < a[1] + a[3];

const within = (a: Bounds, b: Bounds): boolean =>
  a[0] >= b[0] && a[1] >= b[1] && a[0] + a[2] <= b[0] + b[2] && a[1] + a[3] <= b[1] + b[3];

const boundsOf = (doc: GraphDocument, index: number): Bounds => doc.groups[index]?.bounds ?? [0, 0, 0, 0];

test('a document without overlaps is given back as it is', () => {
  const doc = documentOf({ a: [0, 50], b: [300, 50] }, [frame(-20, 0, 600, 400)]);
  expect(spreadDocument(doc, sizeOf)).toBe(doc);
});

test('cards that overlap are moved apart', () => {
  const spread = spreadDocument(documentOf({ a: [0, 0], b: [0, 150] }), sizeOf);
  expect(spread.nodes['a']?.pos).toEqual([0, 0]);
  expect(spread.nodes['b']?.pos).toEqual([0, 316]);
});

test('a frame grows with its members, and what lay beside it stays outside', () => {
  const groups = [frame(0, 0, 240, 320), frame(0, 340, 240, 320)];
  const doc = documentOf({ a: [20, 60], b: [20, 190], c: [20, 400], d: [250, 60] }, groups);
  const spread = spreadDocument(doc, sizeOf);
  for (const id of ['a', 'b']) expect(within(cardBounds(spread, id), boundsOf(spread, 0))).toBe(true);
  expect(within(cardBounds(spread, 'c'), boundsOf(spread, 1))).toBe(true);
  expect(overlap(boundsOf(spread, 0), boundsOf(spread, 1))).toBe(false);
  expect(overlap(cardBounds(spread, 'd'), boundsOf(spread, 0))).toBe(false);
});

test('a frame in a frame stays inside it', () => {
  const doc = documentOf({ a: [40, 100], b: [40, 200] }, [frame(0, 0, 400, 500), frame(20, 50, 240, 300)]);
  const spread = spreadDocument(doc, sizeOf);
  expect(within(boundsOf(spread, 1), boundsOf(spread, 0))).toBe(true);
  for (const id of ['a', 'b']) expect(within(cardBounds(spread, id), boundsOf(spread, 1))).toBe(true);
});

test('notes make room as cards do, and keep their size', () => {
  const note: Group = { ...frame(100, 20, 180, 90), text: 'hello' };
  const spread = spreadDocument(documentOf({ a: [0, 0] }, [note]), sizeOf);
  expect(overlap(boundsOf(spread, 0), cardBounds(spread, 'a'))).toBe(false);
  expect(boundsOf(spread, 0).slice(2)).toEqual([180, 90]);
});

test('the nodes of a former subgraph are moved as one, past what stood beside it', () => {
  const doc = documentOf({ '4:1': [0, 0], '4:2:1': [300, 10], '4:2:2': [600, 10], '9': [350, 0] });
  const spread = spreadDocument(doc, sizeOf);
  expect(spread.nodes['4:2:2']?.pos).toEqual([600, 10]);
  expect(spread.nodes['9']?.pos).toEqual([816, 0]);
});
