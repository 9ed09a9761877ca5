// Holds what the palette finds first.

import { expect, test } from 'vitest';
import { matchScore, searchNodes } from './search.ts';
import { specs } from './testing.ts';

const ids = (query: string): string[] => searchNodes(specs, query).map((spec) => spec.id);

test('an empty query lists everything by title', () => {
  expect(ids('')).toHaveLength(specs.length);
  expect(ids('')[0]).toBe('VAEDecode');
});

test.each([
  ['sample', 'KSampler'],
  ['ksam', 'KSampler'],
  ['vd', 'VAEDecode'],
  ['CheckpointLoaderSimple', 'CheckpointLoader'],
  ['load check', 'CheckpointLoader'],
  ['save', 'SaveImage'],
  ['scale image', 'ImageScaleBy'],
])('"%s" finds %s first', (query, expected) => {
  expect(ids(query)[0]).toBe(expected);
});

test('every word must match', () => {
  expect(ids('save latent')).not.toContain('SaveImage');
  expect(ids('zzz')).toEqual([]);
});

test('a match at the start beats one in the middle, which beats scattered letters', () => {
  const scores = ['Sampler', 'K Sampler', 'resampler', 'some apple'].map((text) => matchScore('sampl', text));
  expect([...scores].sort((a, b) => b - a)).toEqual(scores);
});
