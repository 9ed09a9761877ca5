// Holds that an autosave comes back, and that one which cannot be read is kept and told of.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EMPTY_DOCUMENT } from '../core/document.ts';
import { emptyHistory } from '../core/history.ts';
import { sampleDocument } from '../core/testing.ts';
import { useGraph } from './graph.ts';
import { restoreSession, startAutosave } from './session.ts';
import { useUi } from './ui.ts';

const KEY = 'latentgraph.session';

class FakeStorage {
  readonly items = new Map<string, string>();
  constructor(private readonly room = Number.POSITIVE_INFINITY) {}

  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }

  setItem(key: string, text: string): void {
    if (text.length > this.room) throw new DOMException('full', 'QuotaExceededError');
    this.items.set(key, text);
  }

  removeItem(key: string): void {
    this.items.delete(key);
  }
}

let tab: FakeStorage;
let browser: FakeStorage;

function useStorage(roomOfBrowser?: number): void {
  tab = new FakeStorage();
  browser = new FakeStorage(roomOfBrowser);
  vi.stubGlobal('sessionStorage', tab);
  vi.stubGlobal('localStorage', browser);
}

const kept = (storage: FakeStorage) =>
  [...storage.items].filter(([key]) => key.startsWith('latentgraph.unreadable')).map(([, text]) => text);

/** Loads the sample document, waits until it is saved, and forgets it again. */
function saveSample(): void {
  const stop = startAutosave();
  useGraph.getState().load(sampleDocument(), 'Sample');
  vi.advanceTimersByTime(1000);
  stop();
  useGraph.setState({ doc: EMPTY_DOCUMENT, name: '' });
}

beforeEach(() => {
  vi.useFakeTimers();
  useStorage();
  vi.stubGlobal('window', { addEventListener: vi.fn(), removeEventListener: vi.fn() });
  useGraph.setState({ doc: EMPTY_DOCUMENT, name: '', nodes: [], edges: [], history: emptyHistory() });
  useUi.setState(useUi.getInitialState());
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('what was saved comes back', () => {
  saveSample();
  expect(restoreSession()).toMatchObject({ job: null });
  expect(useGraph.getState().name).toBe('Sample');
  expect(Object.keys(useGraph.getState().doc.nodes)).toHaveLength(6);
});

test.each(['{broken', '[1, 2]', '{"name":"x"}', '{"document":{"format":"latentgraph/9","nodes":{}}}'])(
  'an autosave that cannot be read is kept, told of, and not overwritten: %s',
  (text) => {
    tab.setItem(KEY, text);
    browser.setItem(KEY, text);
    expect(restoreSession()).toBeNull();
    expect(useUi.getState().toasts).toMatchObject([{ kind: 'error' }]);
    saveSample();
    expect(kept(browser)).toEqual([text]);
    expect(restoreSession()).not.toBeNull();
  },
);

test("where this tab's cannot be read, the one saved last is opened", () => {
  saveSample();
  tab.setItem(KEY, '{broken');
  expect(restoreSession()).not.toBeNull();
  expect(useGraph.getState().name).toBe('Sample');
  expect(kept(browser)).toEqual(['{broken']);
});

test('what does not fit beside the saved one is kept in the tab', () => {
  useStorage(5);
  tab.setItem(KEY, '{broken');
  expect(restoreSession()).toBeNull();
  expect(kept(tab)).toEqual(['{broken']);
});

test('a full storage is said once', () => {
  useStorage(5);
  const stop = startAutosave();
  for (const name of ['a', 'b']) {
    useGraph.getState().rename(name);
    vi.advanceTimersByTime(1000);
  }
  stop();
  expect(useUi.getState().toasts).toHaveLength(1);
});
