// Puts a new node on the canvas and, when it was asked for by a dropped link, plugs that link in.

import { findInput, findSpec } from '../core/catalogue.ts';
import type { Point } from '../core/document.ts';
import { addNode, connect } from '../core/edit.ts';
import { cardWidth } from '../core/layout.ts';
import { fittingPort, type LooseEnd } from '../core/types.ts';
import { catalogueNow } from '../state/catalogue.ts';
import { useGraph } from '../state/graph.ts';

/** The drag type of a node taken from the library panel. */
export const NODE_MIME = 'application/x-latentgraph-node';

const HEADER_MIDDLE = 18;

export function addFromCatalogue(classType: string, at: Point, loose: LooseEnd | null): string | null {
  const spec = findSpec(catalogueNow(), classType);
  if (!spec) return null;
  let id: string | null = null;
  const [x, y] = at;
  // A node that feeds the dropped end lies to the left of where the link was dropped.
  const left = loose?.side === 'input' ? x - cardWidth(spec) : x;
  useGraph.getState().edit((doc) => {
    const added = addNode(doc, spec, [left, y - HEADER_MIDDLE]);
    id = added.id;
    const port = loose && fittingPort(spec, loose);
    if (!loose || !port) return added.doc;
    if (loose.side === 'output' && 'input' in port)
      return connect(added.doc, {
        source: loose.node,
        output: loose.output,
        target: added.id,
        input: port.input,
      });
    if (loose.side === 'input' && 'output' in port)
      return connect(added.doc, {
        source: added.id,
        output: port.output,
        target: loose.node,
        input: loose.input,
      });
    return added.doc;
  });
  if (id) useGraph.getState().select([id]);
  return id;
}

/** Connects a loose end to whichever port of an existing node fits best; false when none does. */
export function connectToNode(loose: LooseEnd, node: string): boolean {
  const { doc, edit } = useGraph.getState();
  const spec = findSpec(catalogueNow(), doc.nodes[node]?.classType ?? '');
  if (!spec || node === loose.node) return false;
  const open = doc.nodes[node]?.links ?? {};
  const unlinked = { ...spec, inputs: spec.inputs.filter((input) => !open[input.name]) };
  const port = fittingPort(unlinked, loose) ?? fittingPort(spec, loose);
  if (!port) return false;
  if (loose.side === 'output' && 'input' in port)
    edit((now) =>
      connect(now, { source: loose.node, output: loose.output, target: node, input: port.input }),
    );
  else if (loose.side === 'input' && 'output' in port)
    edit((now) =>
      connect(now, { source: node, output: port.output, target: loose.node, input: loose.input }),
    );
  return true;
}

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
