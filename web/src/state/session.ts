// Autosave: the open document survives a reload or a crash of the browser. Each tab keeps its own; a new tab starts
// from the one saved last.

import { findSpec } from '../core/catalogue.ts';
import { isEmpty } from '../core/document.ts';
import { FormatError, readDocument, writeDocument } from '../core/format.ts';
import { isObject, parseJson, stringifyJson } from '../core/json.ts';
import { withPositions } from '../core/layout.ts';
import { t } from '../i18n/index.ts';
import { catalogueNow } from './catalogue.ts';
import { useGraph } from './graph.ts';
import { useJobs } from './jobs.ts';
import { toast } from './ui.ts';

const KEY = 'latentgraph.session';
const DELAY_MS = 300;

/** The browser's storage was full at the last attempt: said once, not at every key. */
let full = false;

interface Restored {
  job: string | null;
}

/** Loads the saved document; null when there is none, or when it cannot be read any more. */
export function restoreSession(): Restored | null {
  const text = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
  if (!text) return null;
  try {
    const saved = parseJson(text);
    if (!isObject(saved) || !saved['document']) return null;
    const doc = readDocument(saved['document']);
    if (isEmpty(doc)) return null;
    const placed = withPositions(doc, (type) => findSpec(catalogueNow(), type));
    useGraph.getState().load(placed, typeof saved['name'] === 'string' ? saved['name'] : '');
    return { job: typeof saved['job'] === 'string' ? saved['job'] : null };
  } catch (error) {
    if (error instanceof FormatError || error instanceof SyntaxError) return null;
    throw error;
  }
}

function save(): void {
  const { doc, name, epoch } = useGraph.getState();
  const { run, runEpoch } = useJobs.getState();
  const job = run && runEpoch === epoch ? run.job : null;
  const text = stringifyJson({ name, job, document: writeDocument(doc) });
  try {
    sessionStorage.setItem(KEY, text);
    localStorage.setItem(KEY, text);
    full = false;
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    if (!full) toast('error', t('session.full'), t('session.fullHelp'));
    full = true;
  }
}

/** Saves a moment after each change, and at once when the page is left. */
export function startAutosave(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    save();
  };
  const later = () => {
    timer ??= setTimeout(flush, DELAY_MS);
  };
  const stops = [
    useGraph.subscribe((state, before) => {
      if (state.doc !== before.doc || state.name !== before.name) later();
    }),
    useJobs.subscribe((state, before) => {
      if (state.run?.job !== before.run?.job) later();
    }),
  ];
  window.addEventListener('pagehide', flush);
  return () => {
    for (const stop of stops) stop();
    window.removeEventListener('pagehide', flush);
  };
}
