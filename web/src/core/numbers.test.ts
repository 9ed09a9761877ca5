// Holds how numbers are typed, stepped and kept in range.

import { expect, test } from 'vitest';
import { clamp, decimalsOf, formatNumber, inRange, parseNumber, stepBy } from './numbers.ts';

const int = { type: 'INT', min: 0, max: 100, step: 8 };
const float = { type: 'FLOAT', min: 0, max: 1, step: 0.05 };

test.each([
  ['12', int, 12],
  [' 12 ', int, 12],
  ['1.6', int, 2],
  ['18446744073709551615', int, 18446744073709551615n],
  ['0,5', float, 0.5],
  ['.5', float, 0.5],
  ['1e-3', float, 0.001],
  ['', float, null],
  ['abc', float, null],
  ['1-2', int, null],
])('"%s" is read as %s → %s', (text, rule, expected) => {
  expect(parseNumber(text, rule)).toBe(expected);
});

test('steps leave no rounding dust', () => {
  expect(stepBy(0.1, 4, float)).toBe(0.3);
  expect(stepBy(0.7, 1, { ...float, step: 0.1 })).toBe(0.8);
  expect(stepBy(0.123, 1, { ...float, step: 0.1 })).toBe(0.223);
});

test('values stay within their range', () => {
  expect(stepBy(96, 1, int)).toBe(100);
  expect(clamp(-1, int)).toBe(0);
  expect(inRange(101, int)).toBe(false);
  expect(clamp(20n, { ...int, max: 18446744073709551615n })).toBe(20n);
});

test('decimals and writing', () => {
  expect([decimalsOf(1), decimalsOf(0.05), decimalsOf(1e-7)]).toEqual([0, 2, 7]);
  expect(formatNumber(0.1 + 0.2)).toBe('0.3');
  expect(formatNumber(18446744073709551615n)).toBe('18446744073709551615');
});
