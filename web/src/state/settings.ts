// What a person chose and expects to find again: theme, open panels, batch count. Kept in the browser.

import { create } from 'zustand';
import { persist } from 'zustand/middleware';

export type Theme = 'system' | 'light' | 'dark';

interface Settings {
  theme: Theme;
  minimap: boolean;
  snap: boolean;
  batch: number;
}

export const useSettings = create<Settings>()(
  persist((): Settings => ({ theme: 'system', minimap: true, snap: false, batch: 1 }), {
    name: 'latentgraph.settings',
  }),
);

const darkQuery = (): MediaQueryList => window.matchMedia('(prefers-color-scheme: dark)');

function resolvedTheme(theme: Theme): 'light' | 'dark' {
  if (theme !== 'system') return theme;
  return darkQuery().matches ? 'dark' : 'light';
}

/** Keeps the page's theme in step with the choice and with the system. */
export function applyTheme(): () => void {
  const apply = () => {
    document.documentElement.dataset['theme'] = resolvedTheme(useSettings.getState().theme);
  };
  apply();
  const unsubscribe = useSettings.subscribe(apply);
  const query = darkQuery();
  query.addEventListener('change', apply);
  return () => {
    unsubscribe();
    query.removeEventListener('change', apply);
  };
}
