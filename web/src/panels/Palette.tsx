// The search palette: type a few letters, press Enter, and the node is there, plugged in when a link was dropped.

import { Search } from 'lucide-react';
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from 'react';
import { addFromCatalogue } from '../canvas/add-node.ts';
import { useFlowPoint } from '../canvas/use-flow-point.ts';
import type { Catalogue, NodeSpec } from '../core/catalogue.ts';
import { searchNodes } from '../core/search.ts';
import { fittingPort, type LooseEnd } from '../core/types.ts';
import { t, typeName } from '../i18n/index.ts';
import { HelpText, TypeDot } from '../nodes/NodeHelp.tsx';
import { useCatalogue } from '../state/catalogue.ts';
import { type PaletteRequest, useUi } from '../state/ui.ts';
import { cx } from '../ui/cx.ts';
import { categoryName, useNoNodes } from './Library.tsx';

const WIDTH = 560;
const HEIGHT = 380;
const MARGIN = 12;

export function Palette() {
  const request = useUi((state) => state.palette);
  return request && <OpenPalette key={`${request.x},${request.y}`} request={request} />;
}

function candidates(catalogue: Catalogue, { loose, into }: PaletteRequest): NodeSpec[] {
  const fitsInto = (spec: NodeSpec) =>
    !into || fittingPort(spec, { ...into, side: 'input' }, catalogue.widening) !== null;
  const fitsFrom = (spec: NodeSpec) => !loose || fittingPort(spec, loose, catalogue.widening) !== null;
  return [...catalogue.specs.values()].filter((spec) => fitsFrom(spec) && fitsInto(spec));
}

function placeholder(loose: LooseEnd | null): string {
  if (!loose) return t('palette.placeholder');
  const key = loose.side === 'output' ? 'palette.placeholderFrom' : 'palette.placeholderTo';
  return t(key, { type: typeName(loose.type) });
}

const close = () => useUi.setState({ palette: null });

function OpenPalette({ request }: { request: PaletteRequest }) {
  const { loose } = request;
  const catalogue = useCatalogue((state) => state.catalogue);
  const ready = useCatalogue((state) => state.ready);
  const noNodes = useNoNodes();
  const [query, setQuery] = useState('');
  const [active, setActive] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  const flowPoint = useFlowPoint();
  const fitting = useMemo(() => candidates(catalogue, request), [catalogue, request]);
  const found = useMemo(() => searchNodes(fitting, query), [fitting, query]);
  const chosen = found[active];

  useEffect(() => {
    const onPointerDown = (event: PointerEvent) => {
      if (!box.current?.contains(event.target as Node)) close();
    };
    window.addEventListener('pointerdown', onPointerDown, true);
    return () => window.removeEventListener('pointerdown', onPointerDown, true);
  }, []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: follows the active entry
  useEffect(() => {
    box.current?.querySelector('.palette-item.is-active')?.scrollIntoView({ block: 'nearest' });
  }, [active]);

  const choose = (spec: NodeSpec) => {
    addFromCatalogue(spec.id, flowPoint(request.x, request.y), loose, request.into);
    close();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape') close();
    else if (event.key === 'Enter' && chosen) choose(chosen);
    else if (event.key === 'ArrowDown') setActive(Math.min(active + 1, found.length - 1));
    else if (event.key === 'ArrowUp') setActive(Math.max(active - 1, 0));
    else return;
    event.preventDefault();
  };

  const left = Math.max(MARGIN, Math.min(request.x, window.innerWidth - WIDTH - MARGIN));
  const top = Math.max(MARGIN, Math.min(request.y, window.innerHeight - HEIGHT - MARGIN));
  return (
    <div
      ref={box}
      className="palette"
      role="dialog"
      aria-label={t('palette.title')}
      style={{ left, top, width: WIDTH }}
      data-testid="palette"
      onKeyDown={onKeyDown}
    >
      <label className="search palette-search">
        <Search size={16} aria-hidden="true" />
        <input
          // biome-ignore lint/a11y/noAutofocus: the palette is opened to type into
          autoFocus
          value={query}
          placeholder={placeholder(loose)}
          aria-label={placeholder(loose)}
          aria-controls="palette-list"
          aria-activedescendant={chosen ? `palette-${chosen.id}` : undefined}
          role="combobox"
          aria-expanded
          autoComplete="off"
          spellCheck={false}
          data-testid="palette-search"
          onChange={(event) => {
            setQuery(event.target.value);
            setActive(0);
          }}
        />
        {loose && <TypeDot type={loose.type} />}
      </label>
      <div className="palette-columns">
        <div className="palette-list" id="palette-list" role="listbox" aria-label={t('palette.title')}>
          {found.map((spec, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the search field handles the keys
            // biome-ignore lint/a11y/useFocusableInteractive: focus stays in the search field
            <div
              key={spec.id}
              id={`palette-${spec.id}`}
              role="option"
              aria-selected={index === active}
              className={cx('palette-item', index === active && 'is-active')}
              data-testid={`palette-item-${spec.id}`}
              onPointerMove={() => index !== active && setActive(index)}
              onClick={() => choose(spec)}
            >
              <span className="palette-title">{spec.title}</span>
              <span className="palette-category">{categoryName(spec.category)}</span>
            </div>
          ))}
          {found.length === 0 && (
            <p className="panel-empty">
              {!ready ? noNodes : query ? t('palette.none', { query }) : t('palette.noneFits')}
            </p>
          )}
        </div>
        <div className="palette-about">{chosen && <HelpText spec={chosen} />}</div>
      </div>
    </div>
  );
}
