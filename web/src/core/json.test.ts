// Holds that no digit of a 64-bit seed is lost between file and server.

import { expect, test } from 'vitest';
import { parseJson, stringifyJson } from './json.ts';

test('integers beyond 2^53 keep every digit', () => {
  const text = '{"seed":18446744073709551615,"small":7,"negative":-9223372036854775808}';
  expect(parseJson(text)).toEqual({ seed: 18446744073709551615n, small: 7, negative: -9223372036854775808n });
  expect(stringifyJson(parseJson(text))).toBe(text);
});

test('long digits inside strings, and fractions, are left alone', () => {
  const text =
    '{"name":"18446744073709551615","said":"a \\"18446744073709551615\\" b","f":0.1234567890123456,"e":1.5e-7}';
  expect(stringifyJson(parseJson(text))).toBe(text);
});

test('an integer with many digits that a number holds exactly stays a number', () => {
  expect(parseJson('[9007199254740991, 9007199254740993]')).toEqual([9007199254740991, 9007199254740993n]);
});
