// Autosave: the open document survives a reload or a crash of the browser. Each tab keeps its own; a new tab starts
// from the one saved last.

import { findSpec } from '../core/catalogue.ts';
import { type GraphDocument, isEmpty } from '../core/document.ts';
import { FormatError, readDocument, writeDocument } from '../core/format.ts';
import { isObject, parseJson, stringifyJson } from '../core/json.ts';
import { withPositions } from '../core/layout.ts';
import { t } from '../i18n/index.ts';
import { catalogueNow } from './catalogue.ts';
import { download } from './download.ts';
import { useGraph } from './graph.ts';
import { useJobs } from './jobs.ts';
import { toast } from './ui.ts';

const KEY = 'latentgraph.session';
/** What could not be read is kept under names that begin so. */
const UNREADABLE = 'latentgraph.unreadable';
const DELAY_MS = 300;

interface Saved {
  doc: GraphDocument;
  name: string;
  job: string | null;
}

/** Loads the saved document: this tab's, else the one saved last. Null when there is none that can be read. */
export function restoreSession(): Pick<Saved, 'job'> | null {
  const saved = savedIn(sessionStorage) ?? savedIn(localStorage);
  if (!saved || isEmpty(saved.doc)) return null;
  const placed = withPositions(saved.doc, (type) => findSpec(catalogueNow(), type));
  useGraph.getState().load(placed, saved.name);
  return saved;
}

function savedIn(storage: Storage): Saved | null {
  const text = storage.getItem(KEY);
  if (!text) return null;
  try {
    const saved = parseJson(text);
    const { name, job, document } = isObject(saved) ? saved : {};
    return {
      doc: readDocument(document ?? null),
      name: typeof name === 'string' ? name : '',
      job: typeof job === 'string' ? job : null,
    };
  } catch (error) {
    if (!(error instanceof FormatError || error instanceof SyntaxError)) throw error;
    setAside(text, error);
    return null;
  }
}

/** Puts what cannot be read where no later save overwrites it, and says so. */
function setAside(text: string, why: Error): void {
  const reason = why instanceof FormatError ? why.message : t('session.damaged');
  for (const each of [sessionStorage, localStorage]) if (each.getItem(KEY) === text) each.removeItem(KEY);
  const key = `${UNREADABLE}.${new Date().toISOString()}`;
  // It lay in one of the two, so there is room for it in one of the two.
  if (!put(localStorage, key, text)) put(sessionStorage, key, text);
  toast('error', t('session.unreadable'), t('session.unreadableHelp', { reason, key }), {
    label: t('session.keepFile'),
    run: () => download(text, `${key.replaceAll(':', '-')}.json`),
  });
}

/** False when the storage is full. */
function put(storage: Storage, key: string, text: string): boolean {
  try {
    storage.setItem(key, text);
    return true;
  } catch (error) {
    if (error instanceof DOMException) return false;
    throw error;
  }
}

function save(): boolean {
  const { doc, name, epoch } = useGraph.getState();
  const { run, runEpoch } = useJobs.getState();
  const job = run && runEpoch === epoch ? run.job : null;
  const text = stringifyJson({ name, job, document: writeDocument(doc) });
  return put(sessionStorage, KEY, text) && put(localStorage, KEY, text);
}

/** Saves a moment after each change, and at once when the page is left. */
export function startAutosave(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether the storage was full at the last attempt: that is said once, not at every key. */
  let full = false;
  const flush = () => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    const saved = save();
    if (!saved && !full) toast('error', t('session.full'), t('session.fullHelp'));
    full = !saved;
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
    clearTimeout(timer);
    window.removeEventListener('pagehide', flush);
  };
}
