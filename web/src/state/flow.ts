// What React Flow draws, derived from the document. Objects are reused where nothing changed, so that an edit of one
// node redraws one node.

import type { Edge, Node } from '@xyflow/react';
import { findSpec } from '../core/catalogue.ts';
import type { Bounds, GraphDocument, GraphNode, Group } from '../core/document.ts';
import { estimateSize } from '../core/layout.ts';
import { catalogueNow } from './catalogue.ts';

export type CardNode = Node<Record<string, never>, 'card'>;
export type FrameNode = Node<{ index: number; title: string; color: string | null }, 'frame'>;
export type NoteNode = Node<{ index: number }, 'note'>;
export type FlowNode = CardNode | FrameNode | NoteNode;
export type FlowEdge = Edge<{ input: string; output: number }, 'link'>;

export const INPUT_PREFIX = 'in:';
export const OUTPUT_PREFIX = 'out:';

const NO_DATA: Record<string, never> = {};

export const groupId = (index: number): string => `group:${index}`;
export const inputHandle = (name: string): string => INPUT_PREFIX + name;
export const outputHandle = (index: number): string => OUTPUT_PREFIX + index;
export const inputName = (handle: string): string => handle.slice(INPUT_PREFIX.length);
export const outputIndex = (handle: string): number => Number(handle.slice(OUTPUT_PREFIX.length));

export function flowNodes(doc: GraphDocument, before: readonly FlowNode[]): FlowNode[] {
  const known = new Map(before.map((node) => [node.id, node]));
  const groups = doc.groups.map((group, index) => {
    const old = known.get(groupId(index));
    return group.text === null ? frameNode(group, index, old) : noteNode(group, index, old);
  });
  const cards = Object.values(doc.nodes).map((node): FlowNode => {
    const [x, y] = node.pos ?? [0, 0];
    const width = node.size?.[0];
    const old = known.get(node.id);
    if (old?.type === 'card') {
      if (old.position.x === x && old.position.y === y && old.width === width) return old;
      const { width: _width, ...rest } = old;
      return { ...rest, position: { x, y }, ...(width ? { width } : {}) };
    }
    return newCard(node, { x, y });
  });
  return [...groups, ...cards];
}

/** A card that was never drawn has a guessed size, so that a large workflow can be laid out and fitted at once. */
function newCard(node: GraphNode, position: { x: number; y: number }): CardNode {
  const size = estimateSize(node, findSpec(catalogueNow(), node.classType));
  return {
    id: node.id,
    type: 'card',
    position,
    data: NO_DATA,
    initialWidth: size.width,
    initialHeight: size.height,
    ...(node.size ? { width: node.size[0] } : {}),
  };
}

const liesAt = (node: FlowNode, [x, y, width, height]: Bounds): boolean =>
  node.position.x === x && node.position.y === y && node.width === width && node.height === height;

function frameNode(group: Group, index: number, old: FlowNode | undefined): FrameNode {
  const [x, y, width, height] = group.bounds;
  const data = { index, title: group.title, color: group.color };
  if (old?.type === 'frame') {
    const same =
      liesAt(old, group.bounds) && old.data.title === group.title && old.data.color === group.color;
    return same ? old : { ...old, position: { x, y }, width, height, data };
  }
  return {
    id: groupId(index),
    type: 'frame',
    position: { x, y },
    width,
    height,
    data,
    zIndex: -10,
    dragHandle: '.frame-title',
  };
}

/** A note stands on its own: it has a card's place in the pile, above all frames. */
function noteNode(group: Group, index: number, old: FlowNode | undefined): NoteNode {
  const [x, y, width, height] = group.bounds;
  if (old?.type === 'note')
    return liesAt(old, group.bounds) ? old : { ...old, position: { x, y }, width, height };
  return { id: groupId(index), type: 'note', position: { x, y }, width, height, data: { index } };
}

export function flowEdges(doc: GraphDocument, before: readonly FlowEdge[]): FlowEdge[] {
  const known = new Map(before.map((edge) => [edge.id, edge]));
  const edges: FlowEdge[] = [];
  for (const node of Object.values(doc.nodes)) {
    for (const [input, link] of Object.entries(node.links)) {
      if (!doc.nodes[link.node]) continue;
      const id = `${node.id}/${input}`;
      const old = known.get(id);
      const sourceHandle = outputHandle(link.output);
      if (old && old.source === link.node && old.sourceHandle === sourceHandle) {
        edges.push(old);
        continue;
      }
      edges.push({
        id,
        type: 'link',
        source: link.node,
        sourceHandle,
        target: node.id,
        targetHandle: inputHandle(input),
        data: { input, output: link.output },
      });
    }
  }
  return edges;
}

export function selectOnly(nodes: readonly FlowNode[], ids: ReadonlySet<string>): FlowNode[] {
  return nodes.map((node) =>
    Boolean(node.selected) === ids.has(node.id) ? node : { ...node, selected: ids.has(node.id) },
  );
}
