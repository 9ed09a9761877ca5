// A link end that was dropped: on a row, on a card, or on empty canvas.

import { findInput, findSpec } from '../core/catalogue.ts';
import { connect } from '../core/edit.ts';
import { type Endpoints, fittingPort, type LooseEnd, refusal } from '../core/types.ts';
import { catalogueNow } from '../state/catalogue.ts';
import { INPUT_PREFIX, inputName, OUTPUT_PREFIX, outputIndex } from '../state/flow.ts';
import { useGraph } from '../state/graph.ts';

type Port = { input: string } | { output: number };

/** The type and side of a handle, for a link that starts there. */
export function looseEnd(node: string, side: 'input' | 'output', port: string | number): LooseEnd {
  const spec = findSpec(catalogueNow(), useGraph.getState().doc.nodes[node]?.classType ?? '');
  if (side === 'input') {
    const input = String(port);
    return { side, node, input, type: findInput(spec, input)?.type ?? '*' };
  }
  const output = Number(port);
  return { side, node, output, type: spec?.outputs[output]?.type ?? '*' };
}

/** Both ends of the link from a loose end to a port of `node`; null when the sides do not match. */
export function joined(loose: LooseEnd, node: string, port: Port): Endpoints | null {
  if (loose.side === 'output' && 'input' in port)
    return { source: loose.node, output: loose.output, target: node, input: port.input };
  if (loose.side === 'input' && 'output' in port)
    return { source: node, output: port.output, target: loose.node, input: loose.input };
  return null;
}

/** Makes the link unless it is refused; says whether it was made. */
function link(loose: LooseEnd, node: string, port: Port | null): boolean {
  const { doc, edit } = useGraph.getState();
  const ends = port && joined(loose, node, port);
  if (!ends || refusal(doc, catalogueNow(), ends)) return false;
  edit((now) => connect(now, ends));
  return true;
}

/** Connects a loose end to whichever port of an existing node fits best, a free one first. */
export function connectToNode(loose: LooseEnd, node: string): boolean {
  const target = useGraph.getState().doc.nodes[node];
  const catalogue = catalogueNow();
  const spec = findSpec(catalogue, target?.classType ?? '');
  if (!spec || !target) return false;
  const { widening } = catalogue;
  const free = { ...spec, inputs: spec.inputs.filter((input) => !target.links[input.name]) };
  return link(loose, node, fittingPort(free, loose, widening) ?? fittingPort(spec, loose, widening));
}

/** Connects a loose end to the port of the row it was dropped on. */
export function connectToRow(loose: LooseEnd, node: string, handle: string): boolean {
  if (handle.startsWith(INPUT_PREFIX)) return link(loose, node, { input: inputName(handle) });
  return handle.startsWith(OUTPUT_PREFIX) && link(loose, node, { output: outputIndex(handle) });
}

export function titleOf(id: string): string {
  const node = useGraph.getState().doc.nodes[id];
  return node?.title ?? findSpec(catalogueNow(), node?.classType ?? '')?.title ?? node?.classType ?? id;
}
