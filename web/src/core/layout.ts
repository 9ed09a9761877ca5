// Automatic layout: columns from left to right along the links, with room for each node's real size.

import { Graph, layout } from '@dagrejs/dagre';
import type { NodeSpec } from './catalogue.ts';
import type { GraphDocument, GraphNode, Point } from './document.ts';

interface Size {
  width: number;
  height: number;
}

const GAP_X = 56;
const GAP_Y = 24;

/** Positions (top left corners) for the named nodes, or for all. The whole starts at `origin`. */
export function arrange(
  doc: GraphDocument,
  sizeOf: (id: string) => Size,
  ids: readonly string[] = Object.keys(doc.nodes),
  origin: Point = [0, 0],
): Map<string, Point> {
  const graph = new Graph();
  graph.setGraph({ rankdir: 'LR', nodesep: GAP_Y, ranksep: GAP_X, ranker: 'network-simplex' });
  graph.setDefaultEdgeLabel(() => ({}));
  const chosen = new Set(ids);
  for (const id of chosen) graph.setNode(id, { ...sizeOf(id) });
  for (const id of chosen)
    for (const link of Object.values(doc.nodes[id]?.links ?? {}))
      if (chosen.has(link.node)) graph.setEdge(link.node, id);
  layout(graph);
  const corners = new Map<string, Point>();
  for (const id of chosen) {
    const box = graph.node(id) as Size & { x: number; y: number };
    corners.set(id, [box.x - box.width / 2, box.y - box.height / 2]);
  }
  const left = Math.min(...[...corners.values()].map(([x]) => x));
  const top = Math.min(...[...corners.values()].map(([, y]) => y));
  for (const [id, [x, y]] of corners)
    corners.set(id, [Math.round(x - left + origin[0]), Math.round(y - top + origin[1])]);
  return corners;
}

const ROW = 32;
const HEADER = 40;

/** A guess at a card's size before it was ever drawn, from what it will show. */
export function estimateSize(node: GraphNode, spec: NodeSpec | undefined): Size {
  const width = node.size?.[0] ?? cardWidth(spec);
  if (node.collapsed) return { width, height: HEADER };
  let height = HEADER + 12 + (spec?.outputs.length ?? 1) * 24;
  for (const input of spec?.inputs ?? [])
    height += input.widget === 'multiline' ? 112 : input.widget === 'image' ? 180 : input.widget ? ROW : 24;
  if (spec?.output) height += 256;
  return { width, height };
}

/** Nodes that hold text or pictures are wider than those that hold numbers. */
export function cardWidth(spec: NodeSpec | undefined): number {
  const roomy = spec?.output || spec?.inputs.some((input) => input.widget === 'multiline');
  return roomy ? 264 : 232;
}

/** The document with a place for every node: as it is when all have one, else arranged anew. */
export function withPositions(
  doc: GraphDocument,
  specOf: (classType: string) => NodeSpec | undefined,
): GraphDocument {
  const nodes = Object.values(doc.nodes);
  if (nodes.every((node) => node.pos !== null)) return doc;
  const corners = arrange(doc, (id) => {
    const node = doc.nodes[id];
    return node ? estimateSize(node, specOf(node.classType)) : { width: 232, height: 120 };
  });
  const placed = nodes.map((node) => [node.id, { ...node, pos: corners.get(node.id) ?? [0, 0] }] as const);
  return { ...doc, nodes: Object.fromEntries(placed) };
}
