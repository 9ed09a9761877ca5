// Puts a new node on the canvas and, when it was asked for by a dropped link, plugs that link in.

import { findSpec } from '../core/catalogue.ts';
import type { Point } from '../core/document.ts';
import { addNode, connect } from '../core/edit.ts';
import { cardWidth } from '../core/layout.ts';
import { fittingPort, type LooseEnd } from '../core/types.ts';
import { catalogueNow } from '../state/catalogue.ts';
import { useGraph } from '../state/graph.ts';
import { joined } from './loose-end.ts';

/** The drag type of a node taken from the library panel. */
export const NODE_MIME = 'application/x-latentgraph-node';

const HEADER_MIDDLE = 18;

/** `into` is the input that the new node is to feed as well, when it is put into the middle of a link. */
export function addFromCatalogue(
  classType: string,
  at: Point,
  loose: LooseEnd | null,
  into?: { node: string; input: string; type: string },
): string | null {
  const catalogue = catalogueNow();
  const spec = findSpec(catalogue, classType);
  if (!spec) return null;
  let id: string | null = null;
  const [x, y] = at;
  // A node that feeds the dropped end lies to the left of where the link was dropped.
  const left = loose?.side === 'input' ? x - cardWidth(spec) : x;
  useGraph.getState().edit((doc) => {
    const added = addNode(doc, spec, [left, y - HEADER_MIDDLE]);
    id = added.id;
    const port = loose && fittingPort(spec, loose, catalogue.widening);
    const ends = loose && port && joined(loose, added.id, port);
    const fed = ends ? connect(added.doc, ends) : added.doc;
    const next: LooseEnd | null = into ? { ...into, side: 'input' } : null;
    const onward = next && fittingPort(spec, next, catalogue.widening);
    const feeds = next && onward && joined(next, added.id, onward);
    return feeds ? connect(fed, feeds) : fed;
  });
  if (id) useGraph.getState().select([id]);
  return id;
}
