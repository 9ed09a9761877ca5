// Copy and paste as text: what is copied is an ordinary workflow document of the selected nodes, so it can be pasted
// into another tab, a file or a chat, and a whole workflow can be pasted the same way.

import { freshId, type GraphDocument, type GraphNode, type Link, type Point } from './document.ts';
import { readDocument, writeDocument } from './format.ts';
import { isObject, parseJson, stringifyJson } from './json.ts';

/** The selected nodes as text. Links from outside the selection are kept: pasting in place restores them. */
export function copyNodes(doc: GraphDocument, ids: readonly string[]): string {
  const nodes = Object.fromEntries(
    ids
      .map((id) => doc.nodes[id])
      .filter((node) => node !== undefined)
      .map((node) => [node.id, node]),
  );
  return stringifyJson(writeDocument({ nodes, groups: [], subgraphs: {}, extra: {} }), 1);
}

/** The workflow in some clipboard text, or null when there is none. */
export function readClipboard(text: string): GraphDocument | null {
  if (!text.trimStart().startsWith('{')) return null;
  try {
    const value = parseJson(text);
    if (!isObject(value)) return null;
    const doc = readDocument(value);
    return Object.keys(doc.nodes).length > 0 ? doc : null;
  } catch {
    return null;
  }
}

/** Adds copied nodes under fresh ids, their top left corner at `at` or moved by `offset` from where they were. */
export function pasteNodes(
  doc: GraphDocument,
  copied: GraphDocument,
  place: { at: Point } | { offset: Point },
  keepOutsideLinks = true,
): { doc: GraphDocument; ids: string[] } {
  const nodes: Record<string, GraphNode> = { ...doc.nodes };
  const renamed = new Map<string, string>();
  let next = Number(freshId(nodes));
  for (const id of Object.keys(copied.nodes)) renamed.set(id, String(next++));
  const corners = Object.values(copied.nodes).map((node) => node.pos ?? [0, 0]);
  const left = Math.min(...corners.map(([x]) => x ?? 0));
  const top = Math.min(...corners.map(([, y]) => y ?? 0));
  const [dx, dy] =
    'at' in place ? [place.at[0] - left, place.at[1] - top] : freeOffset(doc, [left, top], place.offset);
  for (const node of Object.values(copied.nodes)) {
    const links: Record<string, Link> = {};
    for (const [input, link] of Object.entries(node.links)) {
      const inside = renamed.get(link.node);
      if (inside) links[input] = { node: inside, output: link.output };
      else if (keepOutsideLinks && doc.nodes[link.node]) links[input] = link;
    }
    const id = renamed.get(node.id) ?? node.id;
    const [x, y] = node.pos ?? [0, 0];
    nodes[id] = { ...node, id, links, pos: [x + dx, y + dy] };
  }
  return { doc: { ...doc, nodes }, ids: [...renamed.values()] };
}

/** The offset, as often as it takes for a corner that no node has yet. */
function freeOffset(doc: GraphDocument, [left, top]: Point, [x, y]: Point): Point {
  const taken = new Set(Object.values(doc.nodes).map((node) => String(node.pos)));
  let count = 1;
  while (taken.has(`${left + x * count},${top + y * count}`)) count += 1;
  return [x * count, y * count];
}
