// All nodes by category, to browse, search, and drag onto the canvas.

import { useReactFlow } from '@xyflow/react';
import { ChevronRight, Search } from 'lucide-react';
import { useMemo, useState } from 'react';
import { addFromCatalogue, NODE_MIME } from '../canvas/add-node.ts';
import type { NodeSpec } from '../core/catalogue.ts';
import { searchNodes } from '../core/search.ts';
import { t } from '../i18n/index.ts';
import { TypeDot } from '../nodes/NodeHelp.tsx';
import { useCatalogue } from '../state/catalogue.ts';
import { useJobs } from '../state/jobs.ts';

function byCategory(specs: readonly NodeSpec[]): [string, NodeSpec[]][] {
  const groups = new Map<string, NodeSpec[]>();
  for (const spec of specs) groups.set(spec.category, [...(groups.get(spec.category) ?? []), spec]);
  return [...groups.entries()].sort(([a], [b]) => a.localeCompare(b));
}

/** Category ids are lower case, parts divided by slashes. */
export const categoryName = (category: string): string =>
  category
    .split('/')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1).replaceAll('_', ' '))
    .join(' / ');

/** Why there are no nodes to choose from yet. */
export function useNoNodes(): string {
  const broken = useJobs(({ engine }) => engine?.state === 'failed' || engine?.state === 'stopped');
  return t(broken ? 'palette.unavailable' : 'palette.loading');
}

export function Library() {
  const catalogue = useCatalogue((state) => state.catalogue);
  const packs = useCatalogue((state) => state.packs);
  const ready = useCatalogue((state) => state.ready);
  const noNodes = useNoNodes();
  const [query, setQuery] = useState('');
  const found = useMemo(() => searchNodes([...catalogue.specs.values()], query), [catalogue, query]);
  const broken = packs.filter((pack) => !pack.ok);
  return (
    <div className="panel-body">
      <label className="search">
        <Search size={14} aria-hidden="true" />
        <input
          value={query}
          placeholder={t('palette.placeholder')}
          aria-label={t('palette.placeholder')}
          data-testid="library-search"
          onChange={(event) => setQuery(event.target.value)}
        />
      </label>
      <p className="panel-hint">{ready ? t('panel.nodesHelp') : noNodes}</p>
      {query
        ? found.map((spec) => <Entry key={spec.id} spec={spec} />)
        : byCategory(found).map(([category, specs]) => (
            <details key={category} className="category" open>
              <summary>
                <ChevronRight size={14} aria-hidden="true" />
                {categoryName(category)}
                <span>{specs.length}</span>
              </summary>
              {specs.map((spec) => (
                <Entry key={spec.id} spec={spec} />
              ))}
            </details>
          ))}
      {ready && query && found.length === 0 && <p className="panel-empty">{t('palette.none', { query })}</p>}
      {broken.map((pack) => (
        <p key={pack.name} className="pack-error">
          <b>{pack.name}</b> {pack.error}
        </p>
      ))}
    </div>
  );
}

function Entry({ spec }: { spec: NodeSpec }) {
  const flow = useReactFlow();
  const add = () => {
    const area = document.querySelector('.canvas')?.getBoundingClientRect();
    if (!area) return;
    const centre = flow.screenToFlowPosition({ x: area.x + area.width / 2, y: area.y + area.height / 3 });
    addFromCatalogue(spec.id, [centre.x, centre.y], null);
  };
  return (
    <button
      type="button"
      className="entry"
      draggable
      title={spec.description}
      data-testid={`library-${spec.id}`}
      onDragStart={(event) => {
        event.dataTransfer.setData(NODE_MIME, spec.id);
        event.dataTransfer.effectAllowed = 'copy';
      }}
      onClick={add}
    >
      <span className="entry-title">{spec.title}</span>
      <span className="entry-types">
        {spec.outputs.map((output) => (
          <TypeDot key={output.name} type={output.type} />
        ))}
      </span>
    </button>
  );
}
