// The workflow document as the editor holds it: plain immutable values that every edit copies only where it changes.
// Links and literal values are kept apart, so that unplugging a link brings the literal back.

import type { JsonObject, JsonValue } from './json.ts';

export type NodeMode = 'normal' | 'mute' | 'bypass';
export type SeedControl = 'fixed' | 'randomize' | 'increment' | 'decrement';
export type Point = readonly [x: number, y: number];
export type Bounds = readonly [x: number, y: number, width: number, height: number];

export interface Link {
  readonly node: string;
  readonly output: number;
}

export interface GraphNode {
  readonly id: string;
  readonly classType: string;
  readonly values: Readonly<Record<string, JsonValue>>;
  readonly links: Readonly<Record<string, Link>>;
  readonly title: string | null;
  readonly pos: Point | null;
  readonly size: Point | null;
  readonly mode: NodeMode;
  readonly color: string | null;
  readonly collapsed: boolean;
  readonly seedControl: Readonly<Record<string, SeedControl>>;
  /** What `_meta` held that the editor does not know: kept as it was. */
  readonly meta: JsonObject;
}

/** A frame around nodes; or, when it has a text, a note. */
export interface Group {
  readonly title: string;
  readonly bounds: Bounds;
  readonly color: string | null;
  /** Markdown; null in a frame. */
  readonly text: string | null;
}

export interface GraphDocument {
  readonly nodes: Readonly<Record<string, GraphNode>>;
  readonly groups: readonly Group[];
  readonly subgraphs: JsonObject;
  readonly extra: JsonObject;
}

export const EMPTY_DOCUMENT: GraphDocument = { nodes: {}, groups: [], subgraphs: {}, extra: {} };

export const isEmpty = (doc: GraphDocument): boolean =>
  Object.keys(doc.nodes).length === 0 && doc.groups.length === 0;

export function makeNode(id: string, classType: string, fields: Partial<GraphNode> = {}): GraphNode {
  return {
    values: {},
    links: {},
    title: null,
    pos: null,
    size: null,
    mode: 'normal',
    color: null,
    collapsed: false,
    seedControl: {},
    meta: {},
    ...fields,
    id,
    classType,
  };
}

/** The smallest positive whole number that no node has as its id. */
export function freshId(taken: Readonly<Record<string, unknown>>): string {
  let highest = 0;
  for (const id of Object.keys(taken)) {
    const number = Number(id);
    if (Number.isSafeInteger(number) && number > highest) highest = number;
  }
  return String(highest + 1);
}
