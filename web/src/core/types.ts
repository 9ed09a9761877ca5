// Which outputs fit which inputs, and in words why one does not. Types fit when they are equal or "*"; which others do
// as well is the server's to say, in the table that comes with the catalogue.

import { type Catalogue, findInput, findSpec, type NodeSpec, type Widening } from './catalogue.ts';
import type { GraphDocument } from './document.ts';

export function fits(from: string, to: string, widening: Widening): boolean {
  return from === to || from === '*' || to === '*' || (widening[from] ?? []).includes(to);
}

export interface Endpoints {
  source: string;
  output: number;
  target: string;
  input: string;
}

export type Refusal =
  | {
      reason: 'type';
      target: string;
      input: string;
      wanted: string;
      source: string;
      output: string;
      given: string;
    }
  | { reason: 'self' }
  | { reason: 'cycle'; source: string; target: string }
  | { reason: 'missing' };

/** Why a link may not be made; null when it may. */
export function refusal(doc: GraphDocument, catalogue: Catalogue, ends: Endpoints): Refusal | null {
  const source = doc.nodes[ends.source];
  const target = doc.nodes[ends.target];
  if (!source || !target) return { reason: 'missing' };
  if (source === target) return { reason: 'self' };
  const sourceSpec = findSpec(catalogue, source.classType);
  const targetSpec = findSpec(catalogue, target.classType);
  const output = sourceSpec?.outputs[ends.output];
  const input = findInput(targetSpec, ends.input);
  if (output && input && !fits(output.type, input.type, catalogue.widening))
    return {
      reason: 'type',
      target: target.title ?? targetSpec?.title ?? target.classType,
      input: input.label ?? input.name,
      wanted: input.type,
      source: source.title ?? sourceSpec?.title ?? source.classType,
      output: output.name,
      given: output.type,
    };
  if (reaches(doc, ends.source, ends.target))
    return {
      reason: 'cycle',
      source: source.title ?? sourceSpec?.title ?? source.classType,
      target: target.title ?? targetSpec?.title ?? target.classType,
    };
  return null;
}

/** Whether `from` needs `wanted`, directly or through other nodes. */
export function reaches(doc: GraphDocument, from: string, wanted: string): boolean {
  const seen = new Set<string>();
  const waiting = [from];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (id === wanted) return true;
    if (seen.has(id)) continue;
    seen.add(id);
    for (const link of Object.values(doc.nodes[id]?.links ?? {})) waiting.push(link.node);
  }
  return false;
}

/** An end of a link that was dropped on empty canvas. */
export type LooseEnd =
  | { side: 'output'; node: string; output: number; type: string }
  | { side: 'input'; node: string; input: string; type: string };

/** The port of `spec` that a loose end would be plugged into: the exact type first, a widening or "*" port after. */
export function fittingPort(
  spec: NodeSpec,
  loose: LooseEnd,
  widening: Widening,
): { input: string } | { output: number } | null {
  if (loose.side === 'output') {
    const open = spec.inputs.filter((input) => fits(loose.type, input.type, widening));
    const best =
      open.find((input) => input.type === loose.type && input.widget === null) ??
      open.find((input) => input.type === loose.type) ??
      open[0];
    return best ? { input: best.name } : null;
  }
  const exact = spec.outputs.findIndex((output) => output.type === loose.type);
  const index =
    exact >= 0 ? exact : spec.outputs.findIndex((output) => fits(output.type, loose.type, widening));
  return index >= 0 ? { output: index } : null;
}
