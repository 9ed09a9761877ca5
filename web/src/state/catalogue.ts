// The node catalogue from the server, asked for while the engine starts.

import { create } from 'zustand';
import { ApiError, getNodes, type PackReport } from '../api/client.ts';
import { buildCatalogue, type Catalogue, EMPTY_CATALOGUE } from '../core/catalogue.ts';

interface CatalogueState {
  catalogue: Catalogue;
  packs: readonly PackReport[];
  ready: boolean;
  /** The fetch that is under way: whoever asks meanwhile waits for the same one. */
  loading: Promise<void> | null;
}

const LONGEST_PAUSE_SECONDS = 2;

export const useCatalogue = create<CatalogueState>()(() => ({
  catalogue: EMPTY_CATALOGUE,
  packs: [],
  ready: false,
  loading: null,
}));

export const catalogueNow = (): Catalogue => useCatalogue.getState().catalogue;

/** Fetches the catalogue, waiting while the engine starts. Fails where waiting does not help. */
export function loadCatalogue(): Promise<void> {
  const { loading } = useCatalogue.getState();
  if (loading) return loading;
  const started = fetchUntilReady().finally(() => useCatalogue.setState({ loading: null }));
  useCatalogue.setState({ loading: started });
  return started;
}

async function fetchUntilReady(): Promise<void> {
  for (;;) {
    try {
      const { specs, widening, packs } = await getNodes();
      useCatalogue.setState({ catalogue: buildCatalogue(specs, widening), packs, ready: true });
      return;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // What keeps the engine from starting comes with its state, for the page to show; it is asked again when that
      // changes.
      if (error.code === 'engine_failed') return;
      if (error.code !== 'engine_not_ready') throw error;
      const seconds = Math.min(error.retryAfter ?? 1, LONGEST_PAUSE_SECONDS);
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  }
}
