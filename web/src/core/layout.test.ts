// Holds that arranged cards follow the links from left to right and never overlap.

import { expect, test } from 'vitest';
import { findSpec } from './catalogue.ts';
import { makeNode } from './document.ts';
import { arrange, estimateSize, withPositions } from './layout.ts';
import { catalogue, sampleDocument } from './testing.ts';

const doc = sampleDocument();
const size = { width: 200, height: 100 };

test('a node lies to the right of everything that feeds it', () => {
  const corners = arrange(doc, () => size);
  for (const node of Object.values(doc.nodes))
    for (const link of Object.values(node.links))
      expect(corners.get(node.id)?.[0]).toBeGreaterThan((corners.get(link.node)?.[0] ?? 0) + size.width);
});

test('no two cards overlap', () => {
  const corners = [...arrange(doc, () => size).values()];
  for (const [index, [x, y]] of corners.entries())
    for (const [u, v] of corners.slice(index + 1))
      expect(Math.abs(x - u) >= size.width || Math.abs(y - v) >= size.height).toBe(true);
});

test('arranging some nodes starts where they were', () => {
  const corners = arrange(doc, () => size, ['3', '4'], [500, 70]);
  expect([...corners.keys()].sort()).toEqual(['3', '4']);
  expect(corners.get('3')).toEqual([500, 70]);
});

test('a document whose nodes all have a place is left as it is, any other is arranged', () => {
  const specOf = (type: string) => findSpec(catalogue, type);
  expect(withPositions(doc, specOf)).toBe(doc);
  const loose = { ...doc, nodes: { ...doc.nodes, '9': makeNode('9', 'SaveImage') } };
  expect(Object.values(withPositions(loose, specOf).nodes).every((node) => node.pos !== null)).toBe(true);
});

test('cards are guessed to be taller the more they show', () => {
  const sampler = findSpec(catalogue, 'KSampler');
  const node = makeNode('1', 'KSampler');
  expect(estimateSize(node, sampler).height).toBeGreaterThan(estimateSize(node, undefined).height);
  expect(estimateSize({ ...node, collapsed: true }, sampler).height).toBeLessThan(60);
});

test('a card grows with its text up to a limit, and shrinks where a link stands for it', () => {
  const prompt = findSpec(catalogue, 'CLIPTextEncode');
  const height = (text: string, links = {}) =>
    estimateSize(makeNode('1', 'CLIPTextEncode', { values: { text }, links }), prompt).height;
  expect(height('word '.repeat(40))).toBeGreaterThan(height('word'));
  expect(height('word '.repeat(4000))).toBe(height('word '.repeat(8000)));
  expect(height('word', { text: { node: '2', output: 0 } })).toBeLessThan(height('word'));
});
