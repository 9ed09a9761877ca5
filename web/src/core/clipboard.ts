// Copy and paste as text: what is copied is an ordinary workflow document of what was selected, so it can be pasted
// into another tab, a file or a chat, and a whole workflow can be pasted the same way.

import {
  freshId,
  type GraphDocument,
  type GraphNode,
  type Group,
  isEmpty,
  type Link,
  type Point,
} from './document.ts';
import { FormatError, readDocument, writeDocument } from './format.ts';
import { isObject, parseJson, stringifyJson } from './json.ts';

const STEP = 32;

/** Nodes by id; frames and notes by their place in the list. */
export interface Selection {
  nodes: readonly string[];
  groups: readonly number[];
}

/** What is selected, as text. Links from outside the selection are kept: pasting in place restores them. */
export function copySelected(doc: GraphDocument, selected: Selection): string {
  const nodes = selected.nodes.map((id) => doc.nodes[id]).filter((node) => node !== undefined);
  const groups = selected.groups.map((index) => doc.groups[index]).filter((group) => group !== undefined);
  const byId = Object.fromEntries(nodes.map((node) => [node.id, node]));
  return stringifyJson(writeDocument({ nodes: byId, groups, subgraphs: {}, extra: {} }), 1);
}

/** The workflow in some clipboard text. Null when there is none: people copy all sorts of text. */
export function readClipboard(text: string): GraphDocument | null {
  if (!text.trimStart().startsWith('{')) return null;
  try {
    const value = parseJson(text);
    if (!isObject(value)) return null;
    const doc = readDocument(value);
    return isEmpty(doc) ? null : doc;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof FormatError) return null;
    throw error;
  }
}

/**
 * Adds what was copied, nodes under fresh ids: its top left corner at `at`, or beside where it was; and a little further
 * where something has its corner there already, so that copies do not hide one another.
 */
export function pasteCopied(
  doc: GraphDocument,
  copied: GraphDocument,
  at: Point | null,
): { doc: GraphDocument; pasted: Selection } {
  const renamed = new Map<string, string>();
  let next = Number(freshId(doc.nodes));
  for (const id of Object.keys(copied.nodes)) renamed.set(id, String(next++));
  const corners = cornersOf(copied);
  const left = Math.min(...corners.map(([x]) => x));
  const top = Math.min(...corners.map(([, y]) => y));
  const [x, y] = freeCorner(doc, at ?? [left + STEP, top + STEP]);
  const dx = x - left;
  const dy = y - top;

  const nodes: Record<string, GraphNode> = { ...doc.nodes };
  for (const node of Object.values(copied.nodes)) {
    const id = renamed.get(node.id) ?? node.id;
    const [fromX, fromY] = node.pos ?? [0, 0];
    nodes[id] = { ...node, id, links: relinked(node, renamed, doc), pos: [fromX + dx, fromY + dy] };
  }
  const groups = copied.groups.map((group): Group => {
    const [fromX, fromY, width, height] = group.bounds;
    return { ...group, bounds: [fromX + dx, fromY + dy, width, height] };
  });
  return {
    doc: { ...doc, nodes, groups: [...doc.groups, ...groups] },
    pasted: {
      nodes: [...renamed.values()],
      groups: groups.map((_group, index) => doc.groups.length + index),
    },
  };
}

const cornersOf = (doc: GraphDocument): Point[] => [
  ...Object.values(doc.nodes).map((node): Point => node.pos ?? [0, 0]),
  ...doc.groups.map(({ bounds: [x, y] }): Point => [x, y]),
];

/** A copy's links lead to the copies of what was copied with it, and else to what is there under the same id. */
function relinked(
  node: GraphNode,
  renamed: ReadonlyMap<string, string>,
  doc: GraphDocument,
): GraphNode['links'] {
  const links: Record<string, Link> = {};
  for (const [input, link] of Object.entries(node.links)) {
    const inside = renamed.get(link.node);
    if (inside) links[input] = { node: inside, output: link.output };
    else if (doc.nodes[link.node]) links[input] = link;
  }
  return links;
}

/** From a corner on, diagonally, the first that nothing has. */
function freeCorner(doc: GraphDocument, from: Point): Point {
  const taken = new Set(cornersOf(doc).map(String));
  let [x, y] = from;
  while (taken.has(`${x},${y}`)) {
    x += STEP;
    y += STEP;
  }
  return [x, y];
}
