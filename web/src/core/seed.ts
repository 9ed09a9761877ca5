// What happens to seeds after each Run: kept, drawn anew, or counted up or down, as each seed input is set.

import type { Catalogue, InputSpec } from './catalogue.ts';
import { findSpec } from './catalogue.ts';
import type { GraphDocument, SeedControl } from './document.ts';
import { setValue } from './edit.ts';
import type { JsonValue } from './json.ts';

/** Drawn seeds stay within what every JSON reader holds exactly. */
const MAX_DRAWN_SEED = Number.MAX_SAFE_INTEGER;

export function drawSeed(input: Pick<InputSpec, 'min' | 'max'>, random: () => number): number {
  const low = Math.max(0, input.min ?? 0);
  const high = Math.min(Number(input.max ?? MAX_DRAWN_SEED), MAX_DRAWN_SEED);
  return low + Math.floor(random() * (high - low));
}

export function nextSeed(
  value: JsonValue,
  control: SeedControl,
  input: InputSpec,
  random: () => number,
): JsonValue {
  if (control === 'fixed') return value;
  if (control === 'randomize') return drawSeed(input, random);
  const step = control === 'increment' ? 1n : -1n;
  const here = typeof value === 'bigint' ? value : BigInt(Math.trunc(Number(value) || 0));
  const low = BigInt(Math.trunc(input.min ?? 0));
  const high = BigInt(input.max ?? MAX_DRAWN_SEED);
  const moved = here + step;
  const wrapped = moved < low ? high : moved > high ? low : moved;
  return wrapped <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(wrapped) : wrapped;
}

/** The document with every seed advanced as its control says. Linked seeds stay as they are. */
export function advanceSeeds(doc: GraphDocument, catalogue: Catalogue, random: () => number): GraphDocument {
  let next = doc;
  for (const node of Object.values(doc.nodes)) {
    for (const input of findSpec(catalogue, node.classType)?.inputs ?? []) {
      const control = node.seedControl[input.name];
      if (input.widget !== 'seed' || !control || node.links[input.name]) continue;
      next = setValue(
        next,
        node.id,
        input.name,
        nextSeed(node.values[input.name] ?? 0, control, input, random),
      );
    }
  }
  return next;
}
