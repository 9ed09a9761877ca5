// Holds what becomes of seeds after a run.

import { expect, test } from 'vitest';
import { findInput, findSpec } from './catalogue.ts';
import { setSeedControl } from './edit.ts';
import { advanceSeeds, drawSeed, nextSeed } from './seed.ts';
import { catalogue, sampleDocument } from './testing.ts';

const found = findInput(findSpec(catalogue, 'KSampler'), 'seed');
if (!found) throw new Error('KSampler has no seed');
const seed = found;

test.each([
  ['fixed', 5],
  ['increment', 6],
  ['decrement', 4],
  ['randomize', Math.floor(Number.MAX_SAFE_INTEGER * 0.25)],
] as const)('%s', (control, expected) => {
  expect(nextSeed(5, control, seed, () => 0.25)).toBe(expected);
});

test('counting wraps at the ends of the range, exactly', () => {
  expect(nextSeed(0, 'decrement', seed, Math.random)).toBe(18446744073709551615n);
  expect(nextSeed(18446744073709551615n, 'increment', seed, Math.random)).toBe(0);
  expect(nextSeed(9007199254740991, 'increment', seed, Math.random)).toBe(9007199254740992n);
});

test('drawn seeds are whole and within the range', () => {
  for (const random of [0, 0.5, 0.999999]) {
    const drawn = drawSeed({ min: 10, max: 20 }, () => random);
    expect(Number.isInteger(drawn) && drawn >= 10 && drawn <= 20).toBe(true);
  }
});

test('all seeds of a document advance by their control, linked ones stay', () => {
  const doc = sampleDocument();
  expect(advanceSeeds(doc, catalogue, Math.random).nodes['2']?.values['seed']).toBe(6);
  const fixed = setSeedControl(doc, '2', 'seed', 'fixed');
  expect(advanceSeeds(fixed, catalogue, Math.random)).toBe(fixed);
});
