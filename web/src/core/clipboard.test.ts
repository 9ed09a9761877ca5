// Holds what copying takes along, and that pasting never clashes with what is there.

import { expect, test } from 'vitest';
import { copyNodes, pasteNodes, readClipboard } from './clipboard.ts';
import { sampleDocument } from './testing.ts';

const doc = sampleDocument();

function pasted(ids: string[], place: Parameters<typeof pasteNodes>[2]) {
  const copied = readClipboard(copyNodes(doc, ids));
  if (!copied) throw new Error('nothing copied');
  return pasteNodes(doc, copied, place);
}

test('links among copied nodes join the copies, links from outside are kept', () => {
  const { doc: next, ids } = pasted(['2', '3'], { offset: [32, 32] });
  expect(ids).toEqual(['7', '8']);
  expect(next.nodes['8']?.links).toEqual({
    samples: { node: '7', output: 0 },
    vae: { node: '1', output: 2 },
  });
  expect(next.nodes['7']?.links).toEqual({ model: { node: '1', output: 0 } });
  expect(next.nodes['7']?.seedControl).toEqual({ seed: 'increment' });
});

test('pasting at a place puts the top left corner there', () => {
  const { doc: next } = pasted(['2', '3'], { at: [1000, 500] });
  expect(next.nodes['7']?.pos).toEqual([1000, 500]);
  expect(next.nodes['8']?.pos).toEqual([1300, 500]);
});

test('pasting twice with an offset does not stack the copies', () => {
  const once = pasted(['2'], { offset: [32, 32] });
  const copied = readClipboard(copyNodes(doc, ['2']));
  if (!copied) throw new Error('nothing copied');
  const twice = pasteNodes(once.doc, copied, { offset: [32, 32] });
  expect(once.doc.nodes['7']?.pos).toEqual([332, 32]);
  expect(twice.doc.nodes['8']?.pos).toEqual([364, 64]);
});

test('a whole workflow as text is pasted, other text is not', () => {
  expect(readClipboard('{"1":{"class_type":"X","inputs":{}}}')?.nodes['1']?.classType).toBe('X');
  for (const text of ['', 'a red house', '{"a":1}', '{broken', '[1,2]'])
    expect(readClipboard(text)).toBeNull();
});
