// Holds that a workflow file survives being opened and saved, and that what is no workflow is refused in words.

import { expect, test } from 'vitest';
import { FormatError, readDocument, writeDocument } from './format.ts';
import type { JsonObject } from './json.ts';

const FILE: JsonObject = {
  format: 'latentgraph/1',
  nodes: {
    '1': { class_type: 'CheckpointLoader', inputs: { ckpt_name: 'a' }, _meta: { pos: [0, 10] } },
    sampler: {
      class_type: 'KSampler',
      inputs: { seed: 12345678901234567890n, sizes: { __value__: [1, 2] }, model: ['1', 0] },
      _meta: {
        author: 'kept',
        title: 'Mine',
        pos: [300, 0],
        size: [280, 400],
        mode: 'bypass',
        color: '#224466',
        collapsed: true,
        seed_control: { seed: 'increment' },
      },
    },
  },
  groups: [
    { title: 'G', bounds: [0, 0, 100, 50], color: null },
    { title: '', bounds: [0, 60, 100, 50], color: '#432', text: '*note*' },
  ],
  subgraphs: { s: { a: 1 } },
  extra: { title: 'T' },
};

test('a file that is read and written is the same file', () => {
  expect(writeDocument(readDocument(FILE))).toEqual(FILE);
});

test('links and literals are told apart, and wrapped lists unwrapped', () => {
  const node = readDocument(FILE).nodes['sampler'];
  expect(node?.links).toEqual({ model: { node: '1', output: 0 } });
  expect(node?.values['sizes']).toEqual([1, 2]);
  expect(node?.meta).toEqual({ author: 'kept' });
});

test('a bare API prompt is a workflow, with or without its envelope', () => {
  const prompt: JsonObject = { '4': { class_type: 'VAEDecode', inputs: { samples: ['3', 0] } } };
  for (const value of [prompt, { prompt }])
    expect(readDocument(value).nodes['4']?.links).toEqual({ samples: { node: '3', output: 0 } });
});

test.each([
  ['a list', [], /JSON object/],
  ['a later format', { format: 'latentgraph/9', nodes: {} }, /latentgraph\/9/],
  ['a file without nodes', { format: 'latentgraph/1' }, /no nodes/],
  ['some other JSON', { '1': { x: 1 } }, /class_type/],
])('%s is refused with a reason', (_name, value, reason) => {
  expect(() => readDocument(value as JsonObject)).toThrow(FormatError);
  expect(() => readDocument(value as JsonObject)).toThrow(reason);
});

test('positions that are no numbers are left out', () => {
  const value: JsonObject = { '1': { class_type: 'X', inputs: {}, _meta: { pos: ['a', 2], size: [1] } } };
  expect(readDocument(value).nodes['1']).toMatchObject({ pos: null, size: null });
});
