// The node catalogue from the server, asked for until the engine has one.

import { create } from 'zustand';
import { ApiError, getNodes, type PackReport } from '../api/client.ts';
import { buildCatalogue, type Catalogue, EMPTY_CATALOGUE } from '../core/catalogue.ts';

interface CatalogueState {
  catalogue: Catalogue;
  packs: readonly PackReport[];
  ready: boolean;
}

export const useCatalogue = create<CatalogueState>()(() => ({
  catalogue: EMPTY_CATALOGUE,
  packs: [],
  ready: false,
}));

export const catalogueNow = (): Catalogue => useCatalogue.getState().catalogue;

let loading: Promise<void> | null = null;

/** Fetches the catalogue, waiting while the engine starts; gives up only on an answer that waiting cannot mend. */
export function loadCatalogue(): Promise<void> {
  loading ??= fetchUntilReady().finally(() => {
    loading = null;
  });
  return loading;
}

async function fetchUntilReady(): Promise<void> {
  for (;;) {
    try {
      const { specs, widening, packs } = await getNodes();
      useCatalogue.setState({ catalogue: buildCatalogue(specs, widening), packs, ready: true });
      return;
    } catch (error) {
      if (!(error instanceof ApiError) || (error.status !== 503 && error.status !== 0)) throw error;
      const seconds = Math.min(error.retryAfter ?? 1, 2);
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  }
}
