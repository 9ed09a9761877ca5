// Holds which links are allowed, and that a refusal says what does not fit.

import { expect, test } from 'vitest';
import { findSpec } from './catalogue.ts';
import { catalogue, sampleDocument } from './testing.ts';
import { fits, fittingPort, reaches, refusal } from './types.ts';

const doc = sampleDocument();

test.each([
  ['IMAGE', 'IMAGE', true],
  ['IMAGE', 'LATENT', false],
  ['*', 'LATENT', true],
  ['IMAGE', '*', true],
  ['INT', 'FLOAT', true],
  ['FLOAT', 'INT', false],
])('%s into %s: %s', (from, to, expected) => {
  expect(fits(from, to, catalogue.widening)).toBe(expected);
});

test('a refusal names both ends and both types', () => {
  const why = refusal(doc, catalogue, { source: '3', output: 0, target: '2', input: 'model' });
  expect(why).toEqual({
    reason: 'type',
    target: 'Sample',
    input: 'model',
    wanted: 'MODEL',
    source: 'Decode latent',
    output: 'IMAGE',
    given: 'IMAGE',
  });
});

test('a link that would close a loop is refused', () => {
  const loop = { ...doc, nodes: { ...doc.nodes } };
  expect(refusal(loop, catalogue, { source: '4', output: 0, target: '4', input: 'image' })).toEqual({
    reason: 'self',
  });
  const five = doc.nodes['4'];
  if (!five) throw new Error('no node 4');
  const second = {
    ...loop,
    nodes: { ...loop.nodes, '9': { ...five, id: '9', links: { image: { node: '4', output: 0 } } } },
  };
  expect(refusal(second, catalogue, { source: '9', output: 0, target: '4', input: 'image' })?.reason).toBe(
    'cycle',
  );
});

test('a node of an unknown type may be linked: the server decides', () => {
  const strange = {
    ...doc,
    nodes: { ...doc.nodes, '8': { ...doc.nodes['6'], id: '8', classType: 'Nobody' } },
  };
  expect(
    refusal(strange as typeof doc, catalogue, { source: '8', output: 0, target: '2', input: 'model' }),
  ).toBeNull();
});

test('reach follows links against their direction, through shared inputs, without recursion', () => {
  expect(reaches(doc, '5', '1')).toBe(true);
  expect(reaches(doc, '1', '5')).toBe(false);
});

test('a dropped output goes into the first socket of its very type', () => {
  const sampler = findSpec(catalogue, 'KSampler');
  if (!sampler) throw new Error('no KSampler');
  const loose = { side: 'output', node: '1', output: 0, type: 'CONDITIONING' } as const;
  expect(fittingPort(sampler, loose, catalogue.widening)).toEqual({ input: 'positive' });
  expect(fittingPort(sampler, { ...loose, type: 'IMAGE' }, catalogue.widening)).toBeNull();
  expect(fittingPort(sampler, { ...loose, type: 'FLOAT' }, catalogue.widening)).toEqual({ input: 'cfg' });
});

test('a dropped input is fed by the output of its type', () => {
  const loader = findSpec(catalogue, 'CheckpointLoaderSimple');
  if (!loader) throw new Error('no loader');
  const loose = { side: 'input', node: '3', input: 'vae', type: 'VAE' } as const;
  expect(fittingPort(loader, loose, catalogue.widening)).toEqual({ output: 2 });
});
