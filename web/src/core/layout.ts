// Automatic layout: columns from left to right along the links, with room for each node's real size.

import { Graph, layout } from '@dagrejs/dagre';
import type { NodeSpec } from './catalogue.ts';
import type { GraphDocument, GraphNode, Point } from './document.ts';

export interface Size {
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

const HEADER = 36;
const PADDING = 16;
const GAP = 4;
const SOCKET = 24;
const WIDGET = 28;
/** The label above a tall widget, and the line that unfolds advanced settings. */
const LABEL = 24;
const MORE = 19;
const IMAGE = { chosen: 162, empty: 105 };
/** A field of several lines: its limits, what is around its text, and the size of what is written in it. */
const TEXT = { min: 68, max: 220, frame: 14, side: 48, line: 18.85, letter: 7 };
/** What a card says whose node the server does not have. */
const UNKNOWN = 92;

/** A guess at a card's size before it was ever drawn, from what it will show. */
export function estimateSize(node: GraphNode, spec: NodeSpec | undefined): Size {
  const width = node.size?.[0] ?? cardWidth(spec);
  if (node.collapsed) return { width, height: HEADER };
  const rows = spec ? rowHeights(node, spec, width) : [...Object.keys(node.links).map(() => SOCKET), UNKNOWN];
  const body = PADDING + rows.reduce((sum, row) => sum + row + GAP, -GAP);
  // Where a picture will appear there is a square.
  const result = spec?.output ? width - 10 : 0;
  return { width, height: Math.ceil(HEADER + body + result) };
}

function rowHeights(node: GraphNode, spec: NodeSpec, width: number): number[] {
  const widgets = spec.inputs.filter((input) => input.widget !== null);
  const shown = widgets.filter((input) => !input.advanced || node.links[input.name]);
  const sockets = Math.max(spec.inputs.length - widgets.length, spec.outputs.length);
  const rows = sockets > 0 ? [sockets * SOCKET] : [];
  for (const input of shown) {
    const value = node.values[input.name] ?? input.default;
    if (node.links[input.name]) rows.push(WIDGET);
    else if (input.widget === 'multiline') rows.push(LABEL + textHeight(String(value ?? ''), width));
    else if (input.widget === 'image') rows.push(LABEL + (value ? IMAGE.chosen : IMAGE.empty));
    else rows.push(WIDGET);
  }
  return shown.length < widgets.length ? [...rows, MORE] : rows;
}

function textHeight(text: string, width: number): number {
  const letters = Math.max(1, Math.floor((width - TEXT.side) / TEXT.letter));
  const lines = text
    .split('\n')
    .reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / letters)), 0);
  return Math.min(TEXT.max, Math.max(TEXT.min, TEXT.frame + lines * TEXT.line));
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
