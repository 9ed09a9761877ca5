// Holds that every text the code asks for exists, and that no text is left that nothing asks for.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import en from './en.json' with { type: 'json' };

const SOURCE = join(import.meta.dirname, '..');
const PLURALS = /_(one|other)$/;

const code = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.tsx?$/.test(name) && !name.endsWith('.test.ts'))
  .map((name) => readFileSync(join(SOURCE, name), 'utf8'))
  .join('\n');

const texts = new Set(
  Object.entries(en).flatMap(([section, entries]) =>
    Object.keys(entries).map((key) => `${section}.${key.replace(PLURALS, '')}`),
  ),
);

/** 'section.key' anywhere in quotes, whose section the texts have. */
const asked = new Set(
  [...code.matchAll(/['"]([a-z]+)\.([a-zA-Z]+)['"]/g)]
    .filter(([, section]) => section !== undefined && section in en)
    .map(([, section, key]) => `${section}.${key}`),
);

/** Families whose keys are put together: `queue.${state}`. */
const families = [...code.matchAll(/`([a-z]+)\.\$\{/g)].map(([, section]) => `${section}.`);

test('every text that is asked for exists', () => {
  expect([...asked].filter((key) => !texts.has(key))).toEqual([]);
});

test('every text is used', () => {
  const unused = [...texts].filter(
    (key) => !asked.has(key) && !families.some((family) => key.startsWith(family)),
  );
  expect(unused).toEqual([]);
});
