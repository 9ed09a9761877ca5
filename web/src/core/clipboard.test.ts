// Holds what copying takes along, and that pasting never clashes with what is there.

import { expect, test } from 'vitest';
import { copySelected, pasteCopied, readClipboard } from './clipboard.ts';
import type { GraphDocument } from './document.ts';
import { addGroup } from './edit.ts';
import { sampleDocument } from './testing.ts';

const note = { title: 'Mind', bounds: [280, -120, 200, 90], color: '#3b82f6', text: '**this**' } as const;
const frame = { title: 'Sampling', bounds: [276, -40, 600, 300], color: null, text: null } as const;
const doc = addGroup(addGroup(sampleDocument(), note), frame);

function copied(nodes: string[], groups: number[]): GraphDocument {
  const read = readClipboard(copySelected(doc, { nodes, groups }));
  if (!read) throw new Error('nothing copied');
  return read;
}

const pasted = (nodes: string[], place: Parameters<typeof pasteCopied>[2], groups: number[] = []) =>
  pasteCopied(doc, copied(nodes, groups), place);

test('links among copied nodes join the copies, links from outside are kept', () => {
  const { doc: next, pasted: made } = pasted(['2', '3'], null);
  expect(made).toEqual({ nodes: ['7', '8'], groups: [] });
  expect(next.nodes['8']?.links).toEqual({
    samples: { node: '7', output: 0 },
    vae: { node: '1', output: 2 },
  });
  expect(next.nodes['7']?.links).toEqual({ model: { node: '1', output: 0 } });
  expect(next.nodes['7']?.seedControl).toEqual({ seed: 'increment' });
  expect(next.groups).toEqual(doc.groups);
});

test('pasting at a place puts the top left corner there', () => {
  const { doc: next } = pasted(['2', '3'], [1000, 500]);
  expect(next.nodes['7']?.pos).toEqual([1000, 500]);
  expect(next.nodes['8']?.pos).toEqual([1300, 500]);
});

test('notes and frames come along, and keep their place among the nodes', () => {
  const { doc: next, pasted: made } = pasted(['2'], [1000, 500], [0, 1]);
  expect(made).toEqual({ nodes: ['7'], groups: [2, 3] });
  expect(next.groups.slice(2)).toEqual([
    { ...note, bounds: [1004, 500, 200, 90] },
    { ...frame, bounds: [1000, 580, 600, 300] },
  ]);
  expect(next.nodes['7']?.pos).toEqual([1024, 620]);
});

test('a note can be copied on its own', () => {
  const { doc: next, pasted: made } = pasted([], null, [0]);
  expect(made).toEqual({ nodes: [], groups: [2] });
  expect(next.nodes).toEqual(doc.nodes);
  expect(next.groups[2]).toEqual({ ...note, bounds: [312, -88, 200, 90] });
});

test('pasting twice does not stack the copies', () => {
  const once = pasted(['2'], null);
  const twice = pasteCopied(once.doc, copied(['2'], []), null);
  expect(once.doc.nodes['7']?.pos).toEqual([332, 32]);
  expect(twice.doc.nodes['8']?.pos).toEqual([364, 64]);
  const notes = pasteCopied(pasted([], null, [0]).doc, copied([], [0]), null);
  expect(notes.doc.groups[3]?.bounds).toEqual([344, -56, 200, 90]);
  const placed = pasteCopied(pasted(['2'], [1000, 500]).doc, copied(['2'], []), [1000, 500]);
  expect(placed.doc.nodes['8']?.pos).toEqual([1032, 532]);
});

test('a whole workflow as text is pasted, other text is not', () => {
  expect(readClipboard('{"1":{"class_type":"X","inputs":{}}}')?.nodes['1']?.classType).toBe('X');
  for (const text of ['', 'a red house', '{"a":1}', '{broken', '[1,2]'])
    expect(readClipboard(text)).toBeNull();
});
