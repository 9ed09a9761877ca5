// Every edit of a workflow as a pure function from document to document. An edit that changes nothing returns the
// very same document, so that no empty step reaches the undo history.

import { type Catalogue, defaultValues, findSpec, type NodeSpec } from './catalogue.ts';
import {
  type Bounds,
  freshId,
  type GraphDocument,
  type GraphNode,
  type Group,
  makeNode,
  type NodeMode,
  type Point,
  type SeedControl,
} from './document.ts';
import type { JsonValue } from './json.ts';
import type { Endpoints } from './types.ts';

type Change = (node: GraphNode) => GraphNode;

/** Applies `change` to the named nodes. */
function changeNodes(doc: GraphDocument, ids: Iterable<string>, change: Change): GraphDocument {
  let nodes: Record<string, GraphNode> | null = null;
  for (const id of ids) {
    const before = doc.nodes[id];
    if (!before) continue;
    const after = change(before);
    if (after === before) continue;
    nodes ??= { ...doc.nodes };
    nodes[id] = after;
  }
  return nodes ? { ...doc, nodes } : doc;
}

export function addNode(doc: GraphDocument, spec: NodeSpec, pos: Point): { doc: GraphDocument; id: string } {
  const id = freshId(doc.nodes);
  const seeds = spec.inputs.filter((input) => input.widget === 'seed');
  const node = makeNode(id, spec.id, {
    values: defaultValues(spec),
    pos,
    seedControl: Object.fromEntries(seeds.map((input) => [input.name, 'randomize' as const])),
  });
  return { doc: { ...doc, nodes: { ...doc.nodes, [id]: node } }, id };
}

export function connect(doc: GraphDocument, ends: Endpoints): GraphDocument {
  return changeNodes(doc, [ends.target], (node) => {
    const link = node.links[ends.input];
    if (link?.node === ends.source && link.output === ends.output) return node;
    return { ...node, links: { ...node.links, [ends.input]: { node: ends.source, output: ends.output } } };
  });
}

export function disconnect(doc: GraphDocument, target: string, input: string): GraphDocument {
  return changeNodes(doc, [target], (node) => {
    if (!(input in node.links)) return node;
    const { [input]: _gone, ...links } = node.links;
    return { ...node, links };
  });
}

export function setValue(doc: GraphDocument, id: string, input: string, value: JsonValue): GraphDocument {
  return changeNodes(doc, [id], (node) =>
    node.values[input] === value ? node : { ...node, values: { ...node.values, [input]: value } },
  );
}

export function setSeedControl(
  doc: GraphDocument,
  id: string,
  input: string,
  control: SeedControl,
): GraphDocument {
  return changeNodes(doc, [id], (node) =>
    node.seedControl[input] === control
      ? node
      : { ...node, seedControl: { ...node.seedControl, [input]: control } },
  );
}

export function moveNodes(doc: GraphDocument, positions: ReadonlyMap<string, Point>): GraphDocument {
  return changeNodes(doc, positions.keys(), (node) => {
    const pos = positions.get(node.id);
    if (!pos || (node.pos?.[0] === pos[0] && node.pos[1] === pos[1])) return node;
    return { ...node, pos };
  });
}

export function resizeNode(doc: GraphDocument, id: string, size: Point | null): GraphDocument {
  return changeNodes(doc, [id], (node) => ({ ...node, size }));
}

export function renameNode(doc: GraphDocument, id: string, title: string): GraphDocument {
  const wanted = title.trim() || null;
  return changeNodes(doc, [id], (node) => (node.title === wanted ? node : { ...node, title: wanted }));
}

/** Sets the mode on all named nodes, or back to normal when all of them have it already. */
export function toggleMode(doc: GraphDocument, ids: readonly string[], mode: NodeMode): GraphDocument {
  const all = ids.every((id) => doc.nodes[id]?.mode === mode);
  const wanted: NodeMode = all ? 'normal' : mode;
  return changeNodes(doc, ids, (node) => (node.mode === wanted ? node : { ...node, mode: wanted }));
}

export function toggleCollapsed(doc: GraphDocument, ids: readonly string[]): GraphDocument {
  const collapsed = !ids.every((id) => doc.nodes[id]?.collapsed);
  return changeNodes(doc, ids, (node) => (node.collapsed === collapsed ? node : { ...node, collapsed }));
}

export function colourNodes(doc: GraphDocument, ids: readonly string[], color: string | null): GraphDocument {
  return changeNodes(doc, ids, (node) => (node.color === color ? node : { ...node, color }));
}

/** Removes nodes and every link that came from them. */
export function removeNodes(doc: GraphDocument, ids: Iterable<string>): GraphDocument {
  const gone = new Set([...ids].filter((id) => id in doc.nodes));
  if (gone.size === 0) return doc;
  const nodes: Record<string, GraphNode> = {};
  for (const node of Object.values(doc.nodes)) {
    if (gone.has(node.id)) continue;
    const links = Object.entries(node.links).filter(([, link]) => !gone.has(link.node));
    const same = links.length === Object.keys(node.links).length;
    nodes[node.id] = same ? node : { ...node, links: Object.fromEntries(links) };
  }
  return { ...doc, nodes };
}

/**
 * Removes nodes, and joins what fed them to what they fed where the types agree: taking a node out of a chain leaves
 * the chain whole.
 */
export function dissolveNode(doc: GraphDocument, catalogue: Catalogue, id: string): GraphDocument {
  const node = doc.nodes[id];
  const spec = node && findSpec(catalogue, node.classType);
  if (!node || !spec) return removeNodes(doc, [id]);
  const nodes: Record<string, GraphNode> = {};
  for (const other of Object.values(doc.nodes)) {
    if (other.id === id) continue;
    let links: GraphNode['links'] | null = null;
    for (const [input, link] of Object.entries(other.links)) {
      if (link.node !== id) continue;
      const type = spec.outputs[link.output]?.type;
      const through = spec.inputs.find((candidate) => candidate.type === type && node.links[candidate.name]);
      const { [input]: _gone, ...rest }: GraphNode['links'] = links ?? other.links;
      const upstream = through && node.links[through.name];
      links = upstream ? { ...rest, [input]: upstream } : rest;
    }
    nodes[other.id] = links ? { ...other, links } : other;
  }
  return { ...doc, nodes };
}

export function addGroup(doc: GraphDocument, group: Group): GraphDocument {
  return { ...doc, groups: [...doc.groups, group] };
}

const sameBounds = (a: Bounds, b: Bounds): boolean => a.every((value, index) => value === b[index]);

export function changeGroup(doc: GraphDocument, index: number, change: Partial<Group>): GraphDocument {
  const before = doc.groups[index];
  if (!before) return doc;
  const after = { ...before, ...change };
  if (sameBounds(before.bounds, after.bounds)) after.bounds = before.bounds;
  if ((Object.keys(after) as (keyof Group)[]).every((key) => before[key] === after[key])) return doc;
  return { ...doc, groups: doc.groups.map((group, at) => (at === index ? after : group)) };
}

/** Moves frames and notes, by their places in the list; nothing else moves with them. */
export function moveGroups(doc: GraphDocument, positions: ReadonlyMap<number, Point>): GraphDocument {
  let next = doc;
  for (const [index, [x, y]] of positions) {
    const bounds = doc.groups[index]?.bounds;
    if (bounds) next = changeGroup(next, index, { bounds: [x, y, bounds[2], bounds[3]] });
  }
  return next;
}

export function removeGroup(doc: GraphDocument, index: number): GraphDocument {
  return { ...doc, groups: doc.groups.filter((_group, at) => at !== index) };
}
