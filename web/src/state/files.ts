// Opening and saving: workflow files, pictures with a workflow inside, templates, and the workflow of an earlier job.

import { ApiError, getJobWorkflow, getTemplate, readWorkflowFile, uploadImage } from '../api/client.ts';
import { findSpec } from '../core/catalogue.ts';
import type { Point } from '../core/document.ts';
import { addNode, setValue } from '../core/edit.ts';
import { FormatError, readDocument, writeDocument } from '../core/format.ts';
import { isObject, type JsonObject, type JsonValue, stringifyJson } from '../core/json.ts';
import { estimateSize, withPositions } from '../core/layout.ts';
import { spreadDocument } from '../core/spread-document.ts';
import { t } from '../i18n/index.ts';
import { catalogueNow, loadCatalogue } from './catalogue.ts';
import { download } from './download.ts';
import { useGraph } from './graph.ts';
import { forgetRun } from './jobs.ts';
import { report } from './report.ts';
import { toast, useUi } from './ui.ts';

export const DEFAULT_TEMPLATE = 'text-to-image';

/** The node that a dropped picture becomes. */
const LOAD_IMAGE = 'LoadImage';

/** Shows a document that the server gave. Cards without a place are arranged; ComfyUI's are smaller, so a layout that
 * was made for them is spread until none of ours overlap. */
function show(value: JsonValue, name: string, fromComfyUI = false): void {
  const specOf = (type: string) => findSpec(catalogueNow(), type);
  const doc = withPositions(readDocument(value), specOf);
  const shown = fromComfyUI ? spreadDocument(doc, (node) => estimateSize(node, specOf(node.classType))) : doc;
  useUi.setState({ renaming: null, writing: null });
  useGraph.getState().load(shown, name);
  forgetRun();
}

/** Runs an action and tells a person in words when it cannot be done. */
async function attempt(title: string, action: () => Promise<void>): Promise<boolean> {
  try {
    await action();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof FormatError)) throw error;
    toast('error', title, error.message);
    return false;
  }
}

export function openTemplate(name: string, title: string): Promise<boolean> {
  return attempt(t('file.templateFailed'), async () => show(await getTemplate(name), title));
}

export function openJobWorkflow(job: string): Promise<boolean> {
  return attempt(t('file.openFailed'), async () => {
    const document = await getJobWorkflow(job);
    show(document, (isObject(document) && titleOf(document)) || t('file.fromJob'));
    toast('success', t('file.loadedFromJob'));
  });
}

/** A picture's file name says less than the title of the workflow inside. */
function titleOf(document: JsonObject): string {
  const extra = document['extra'];
  return isObject(extra) && typeof extra['title'] === 'string' ? extra['title'] : '';
}

const withoutEnding = (name: string): string => name.replace(/\.[^.]+$/, '');

/** A picture without a workflow becomes a Load image node; everything else must hold a workflow. */
export async function openFile(file: File, at: Point | null): Promise<boolean> {
  try {
    await loadCatalogue();
    const document = await readWorkflowFile(file);
    const title = file.type.startsWith('image/') && titleOf(document);
    show(document, title || withoutEnding(file.name), document['from_comfyui'] === true);
    toast('success', t('file.opened', { name: file.name }));
    return true;
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof FormatError)) throw error;
    if (at && file.type.startsWith('image/') && error instanceof ApiError && error.status === 422)
      return addImageNode(file, at);
    toast('error', t('file.openNamedFailed', { name: file.name }), error.message);
    return false;
  }
}

function addImageNode(file: File, at: Point): Promise<boolean> {
  const spec = findSpec(catalogueNow(), LOAD_IMAGE);
  const input = spec?.inputs.find((each) => each.widget === 'image');
  if (!spec || !input) {
    toast('error', t('file.openNamedFailed', { name: file.name }), t('file.noWorkflowInside'));
    return Promise.resolve(false);
  }
  return attempt(t('image.uploadFailed'), async () => {
    const image = await uploadImage(file);
    useGraph.getState().edit((doc) => {
      const added = addNode(doc, spec, at);
      return setValue(added.doc, added.id, input.name, image.name);
    });
    toast('info', t('file.imageAdded', { name: file.name }), t('file.noWorkflowInside'));
  });
}

export function chooseFile(): void {
  const picker = document.createElement('input');
  picker.type = 'file';
  picker.accept = '.json,.png,.webp,application/json,image/png,image/webp';
  picker.onchange = () => {
    const file = picker.files?.[0];
    if (file) report(openFile(file, null));
  };
  picker.click();
}

export function saveFile(): void {
  const { doc, name } = useGraph.getState();
  const plain = (name || t('file.untitled')).replace(/[^\p{L}\p{N} ._-]+/gu, '-');
  download(stringifyJson(writeDocument(doc), 2), `${plain}.json`);
}

export function newDocument(): void {
  show({ format: 'latentgraph/1', nodes: {} }, '');
  useUi.setState({ problemsOpen: false });
}
