// The node catalogue as the editor sees it: what the server says each node takes and gives, found by id or alias.

import { isObject, type JsonObject, type JsonValue } from './json.ts';

export type Widget =
  | 'number'
  | 'slider'
  | 'seed'
  | 'text'
  | 'multiline'
  | 'choice'
  | 'toggle'
  | 'image'
  | 'model';

export interface InputSpec {
  name: string;
  type: string;
  label: string | null;
  required: boolean;
  default: JsonValue;
  min: number | null;
  max: number | bigint | null;
  step: number | null;
  choices: string[] | null;
  widget: Widget | null;
  help: string;
  modelKind: string | null;
  advanced: boolean;
}

export interface OutputSpec {
  name: string;
  type: string;
}

export interface NodeSpec {
  id: string;
  title: string;
  category: string;
  description: string;
  aliases: string[];
  output: boolean;
  inputs: InputSpec[];
  outputs: OutputSpec[];
  pack: string;
}

/** An output of a key's type may feed an input of any type listed under it. */
export type Widening = Readonly<Record<string, readonly string[]>>;

export interface Catalogue {
  readonly specs: ReadonlyMap<string, NodeSpec>;
  readonly aliases: ReadonlyMap<string, string>;
  readonly widening: Widening;
}

export const EMPTY_CATALOGUE: Catalogue = { specs: new Map(), aliases: new Map(), widening: {} };

const WIDGETS: ReadonlySet<string> = new Set<Widget>([
  'number',
  'slider',
  'seed',
  'text',
  'multiline',
  'choice',
  'toggle',
  'image',
  'model',
]);

const text = (value: JsonValue | undefined, fallback = ''): string =>
  typeof value === 'string' ? value : fallback;

const list = (value: JsonValue | undefined): JsonValue[] => (Array.isArray(value) ? value : []);

const numeric = (value: JsonValue | undefined): number | null =>
  typeof value === 'number' ? value : typeof value === 'bigint' ? Number(value) : null;

function readInput(raw: JsonObject): InputSpec {
  const widget = text(raw['widget']);
  const max = raw['max'];
  return {
    name: text(raw['name']),
    type: text(raw['type'], '*'),
    label: text(raw['label']) || null,
    required: raw['required'] === true,
    default: raw['default'] ?? null,
    min: numeric(raw['min']),
    max: typeof max === 'bigint' ? max : numeric(max),
    step: numeric(raw['step']),
    choices: Array.isArray(raw['choices']) ? raw['choices'].map(String) : null,
    widget: WIDGETS.has(widget) ? (widget as Widget) : null,
    help: text(raw['help']),
    modelKind: text(raw['model_kind']) || null,
    advanced: raw['advanced'] === true,
  };
}

export function readNodeSpec(raw: JsonObject): NodeSpec {
  const id = text(raw['id']);
  return {
    id,
    title: text(raw['title'], id),
    category: text(raw['category'], 'other'),
    description: text(raw['description']),
    aliases: list(raw['aliases']).map(String),
    output: raw['output'] === true,
    inputs: list(raw['inputs']).filter(isObject).map(readInput),
    outputs: list(raw['outputs'])
      .filter(isObject)
      .map((item) => ({ name: text(item['name']), type: text(item['type'], '*') })),
    pack: text(raw['pack']),
  };
}

export function readWidening(raw: JsonValue | undefined): Widening {
  const entries = raw !== undefined && isObject(raw) ? Object.entries(raw) : [];
  return Object.fromEntries(entries.map(([type, wider]) => [type, list(wider).map(String)]));
}

export function buildCatalogue(specs: NodeSpec[], widening: Widening): Catalogue {
  const byId = new Map(specs.map((spec) => [spec.id, spec]));
  const aliases = new Map(specs.flatMap((spec) => spec.aliases.map((alias) => [alias, spec.id] as const)));
  return { specs: byId, aliases, widening };
}

/** The spec of a class type, through its aliases; undefined when the server has no such node. */
export function findSpec(catalogue: Catalogue, classType: string): NodeSpec | undefined {
  return catalogue.specs.get(classType) ?? catalogue.specs.get(catalogue.aliases.get(classType) ?? '');
}

export function findInput(spec: NodeSpec | undefined, name: string): InputSpec | undefined {
  return spec?.inputs.find((input) => input.name === name);
}

/** What a fresh node holds in each widget. A choice without a default starts on its first choice. */
export function defaultValues(spec: NodeSpec): Record<string, JsonValue> {
  const values: Record<string, JsonValue> = {};
  for (const input of spec.inputs) {
    if (input.widget === null) continue;
    const first = input.choices?.[0];
    if (input.default !== null) values[input.name] = input.default;
    else if (first !== undefined) values[input.name] = first;
    else if (input.type === 'STRING') values[input.name] = '';
    else if (input.type === 'BOOLEAN') values[input.name] = false;
    else if (input.type === 'INT' || input.type === 'FLOAT') values[input.name] = input.min ?? 0;
  }
  return values;
}
