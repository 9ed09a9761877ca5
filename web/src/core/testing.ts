// A small catalogue and graph for the tests of the core.

import { buildCatalogue, type Catalogue, type NodeSpec, readNodeSpec } from './catalogue.ts';
import { type GraphDocument, makeNode } from './document.ts';
import type { JsonObject } from './json.ts';

const socket = (name: string, type: string): JsonObject => ({ name, type, required: true, widget: null });

const SPECS: JsonObject[] = [
  {
    id: 'CheckpointLoader',
    title: 'Load checkpoint',
    category: 'loaders',
    aliases: ['CheckpointLoaderSimple'],
    description: 'Opens a model file.',
    inputs: [
      { name: 'ckpt_name', type: 'COMBO', widget: 'model', choices: ['a.safetensors'], default: null },
    ],
    outputs: [
      { name: 'MODEL', type: 'MODEL' },
      { name: 'CLIP', type: 'CLIP' },
      { name: 'VAE', type: 'VAE' },
    ],
  },
  {
    id: 'CLIPTextEncode',
    title: 'Encode prompt',
    category: 'conditioning',
    inputs: [{ name: 'text', type: 'STRING', widget: 'multiline' }, socket('clip', 'CLIP')],
    outputs: [{ name: 'CONDITIONING', type: 'CONDITIONING' }],
  },
  {
    id: 'KSampler',
    title: 'Sample',
    category: 'sampling',
    inputs: [
      socket('model', 'MODEL'),
      socket('positive', 'CONDITIONING'),
      socket('negative', 'CONDITIONING'),
      socket('latent_image', 'LATENT'),
      { name: 'seed', type: 'INT', widget: 'seed', default: 0, min: 0, max: 18446744073709551615n },
      { name: 'cfg', type: 'FLOAT', widget: 'number', default: 8, min: 0, max: 100, step: 0.1 },
    ],
    outputs: [{ name: 'LATENT', type: 'LATENT' }],
  },
  {
    id: 'VAEDecode',
    title: 'Decode latent',
    category: 'latent',
    inputs: [socket('samples', 'LATENT'), socket('vae', 'VAE')],
    outputs: [{ name: 'IMAGE', type: 'IMAGE' }],
  },
  {
    id: 'ImageScaleBy',
    title: 'Scale image by',
    category: 'image',
    aliases: ['UpscaleBy'],
    inputs: [socket('image', 'IMAGE'), { name: 'scale_by', type: 'FLOAT', widget: 'number', default: 1 }],
    outputs: [{ name: 'IMAGE', type: 'IMAGE' }],
  },
  {
    id: 'SaveImage',
    title: 'Save image',
    category: 'image',
    output: true,
    inputs: [socket('images', 'IMAGE')],
    outputs: [],
  },
  {
    id: 'Integer',
    title: 'Whole number',
    category: 'values',
    inputs: [],
    outputs: [{ name: 'INT', type: 'INT' }],
  },
];

export const specs: NodeSpec[] = SPECS.map(readNodeSpec);
export const catalogue: Catalogue = buildCatalogue(specs, { INT: ['FLOAT'] });

/** Loader → sampler → decode → scale → save, and a whole number beside them. */
export function sampleDocument(): GraphDocument {
  const nodes = [
    makeNode('1', 'CheckpointLoaderSimple', { values: { ckpt_name: 'a.safetensors' }, pos: [0, 0] }),
    makeNode('2', 'KSampler', {
      values: { seed: 5, cfg: 8 },
      links: { model: { node: '1', output: 0 } },
      pos: [300, 0],
      seedControl: { seed: 'increment' },
    }),
    makeNode('3', 'VAEDecode', {
      links: { samples: { node: '2', output: 0 }, vae: { node: '1', output: 2 } },
      pos: [600, 0],
    }),
    makeNode('4', 'ImageScaleBy', {
      values: { scale_by: 2 },
      links: { image: { node: '3', output: 0 } },
      pos: [900, 0],
    }),
    makeNode('5', 'SaveImage', { links: { images: { node: '4', output: 0 } }, pos: [1200, 0] }),
    makeNode('6', 'Integer', { pos: [0, 300] }),
  ];
  return {
    nodes: Object.fromEntries(nodes.map((node) => [node.id, node])),
    groups: [],
    subgraphs: {},
    extra: {},
  };
}
