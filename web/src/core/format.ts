// Reads and writes the native workflow file ("latentgraph/1"), and reads a bare API prompt. Other formats (ComfyUI's
// editor files, pictures) are read by the server, which gives back this one.

import {
  type Bounds,
  type GraphDocument,
  type GraphNode,
  type Group,
  type Link,
  makeNode,
  type NodeMode,
  type Point,
  type SeedControl,
} from './document.ts';
import { isObject, type JsonObject, type JsonValue } from './json.ts';

const FORMAT = 'latentgraph/1';

/** A file that is no workflow; the message says why, for a person. */
export class FormatError extends Error {
  override name = 'FormatError';
}

const KNOWN_META = new Set(['title', 'pos', 'size', 'mode', 'color', 'collapsed', 'seed_control']);
const SEED_CONTROLS: ReadonlySet<string> = new Set(['fixed', 'randomize', 'increment', 'decrement']);

const isNumber = (value: JsonValue | undefined): value is number =>
  typeof value === 'number' && Number.isFinite(value);

function readPoint(value: JsonValue | undefined): Point | null {
  if (!Array.isArray(value)) return null;
  const [x, y] = value;
  return isNumber(x) && isNumber(y) ? [x, y] : null;
}

function readLink(value: JsonValue): Link | null {
  if (!Array.isArray(value) || value.length !== 2) return null;
  const [node, output] = value;
  if (typeof node !== 'string' || typeof output !== 'number') return null;
  return { node, output };
}

function readMode(value: JsonValue | undefined): NodeMode {
  return value === 'mute' || value === 'bypass' ? value : 'normal';
}

function readNode(id: string, raw: JsonObject): GraphNode {
  const classType = raw['class_type'];
  if (typeof classType !== 'string')
    throw new FormatError(`Node ${id} has no class_type, so this is not a workflow.`);
  const values: Record<string, JsonValue> = {};
  const links: Record<string, Link> = {};
  for (const [name, value] of Object.entries(isObject(raw['inputs']) ? raw['inputs'] : {})) {
    const link = readLink(value);
    if (link) links[name] = link;
    else if (isObject(value) && '__value__' in value) values[name] = value['__value__'] ?? null;
    else values[name] = value;
  }
  const meta = isObject(raw['_meta']) ? raw['_meta'] : {};
  const control: Record<string, SeedControl> = {};
  for (const [name, value] of Object.entries(isObject(meta['seed_control']) ? meta['seed_control'] : {}))
    if (typeof value === 'string' && SEED_CONTROLS.has(value)) control[name] = value as SeedControl;
  return makeNode(id, classType, {
    values,
    links,
    title: typeof meta['title'] === 'string' && meta['title'] ? meta['title'] : null,
    pos: readPoint(meta['pos']),
    size: readPoint(meta['size']),
    mode: readMode(meta['mode']),
    color: typeof meta['color'] === 'string' ? meta['color'] : null,
    collapsed: meta['collapsed'] === true,
    seedControl: control,
    meta: Object.fromEntries(Object.entries(meta).filter(([key]) => !KNOWN_META.has(key))),
  });
}

function readGroup(raw: JsonValue): Group | null {
  if (!isObject(raw) || !Array.isArray(raw['bounds'])) return null;
  const bounds = raw['bounds'].filter(isNumber);
  if (bounds.length !== 4) return null;
  return {
    title: typeof raw['title'] === 'string' ? raw['title'] : '',
    bounds: bounds as unknown as Bounds,
    color: typeof raw['color'] === 'string' ? raw['color'] : null,
    text: typeof raw['text'] === 'string' ? raw['text'] : null,
  };
}

export function readDocument(value: JsonValue): GraphDocument {
  if (!isObject(value)) throw new FormatError('A workflow is a JSON object.');
  const format = value['format'];
  if (typeof format === 'string' && format !== FORMAT)
    throw new FormatError(`This workflow has the format “${format}”; this editor reads “${FORMAT}”.`);
  const nodes = format === FORMAT ? value['nodes'] : (value['prompt'] ?? value);
  if (!isObject(nodes)) throw new FormatError('The workflow has no nodes.');
  const read: Record<string, GraphNode> = {};
  for (const [id, raw] of Object.entries(nodes)) {
    if (!isObject(raw)) throw new FormatError(`Node ${id} is not an object.`);
    read[id] = readNode(id, raw);
  }
  const native = format === FORMAT;
  const groups = native && Array.isArray(value['groups']) ? value['groups'] : [];
  return {
    nodes: read,
    groups: groups.map(readGroup).filter((group) => group !== null),
    subgraphs: native && isObject(value['subgraphs']) ? value['subgraphs'] : {},
    extra: native && isObject(value['extra']) ? value['extra'] : {},
  };
}

function writeNode(node: GraphNode): JsonObject {
  const inputs: JsonObject = {};
  for (const [name, value] of Object.entries(node.values))
    inputs[name] = Array.isArray(value) ? { __value__: value } : value;
  for (const [name, link] of Object.entries(node.links)) inputs[name] = [link.node, link.output];
  const meta: JsonObject = { ...node.meta };
  if (node.title) meta['title'] = node.title;
  if (node.pos) meta['pos'] = node.pos.map(Math.round);
  if (node.size) meta['size'] = node.size.map(Math.round);
  if (node.mode !== 'normal') meta['mode'] = node.mode;
  if (node.color) meta['color'] = node.color;
  if (node.collapsed) meta['collapsed'] = true;
  if (Object.keys(node.seedControl).length > 0) meta['seed_control'] = { ...node.seedControl };
  return { class_type: node.classType, inputs, _meta: meta };
}

export function writeDocument(doc: GraphDocument): JsonObject {
  return {
    format: FORMAT,
    nodes: Object.fromEntries(Object.values(doc.nodes).map((node) => [node.id, writeNode(node)])),
    groups: doc.groups.map((group) => ({
      title: group.title,
      bounds: group.bounds.map(Math.round),
      color: group.color,
      ...(group.text === null ? {} : { text: group.text }),
    })),
    subgraphs: doc.subgraphs,
    extra: doc.extra,
  };
}
