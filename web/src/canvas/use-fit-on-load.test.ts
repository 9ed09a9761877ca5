// Holds that a fitted workflow is never enlarged, and keeps clear of the corners when there is room.

import { expect, test } from 'vitest';
import { fitFor } from './use-fit-on-load.ts';

const bottom = (height: number): unknown => {
  const { padding } = fitFor({ x: 0, y: 0, width: 1000, height }, 1300, 720);
  return typeof padding === 'object' ? padding.bottom : null;
};

test('what fits keeps clear of the minimap', () => {
  expect(bottom(500)).toBe('128px');
  expect(fitFor({ x: 0, y: 0, width: 10, height: 10 }, 1300, 720).maxZoom).toBe(1);
});

test('what is tall gives up that room little by little, but never the tools', () => {
  expect(bottom(600)).toBe('96px');
  expect(bottom(2000)).toBe('64px');
});
