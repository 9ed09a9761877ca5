// The narrow rail on the left and the panel it opens: nodes, templates, queue.

import { Blocks, LayoutTemplate, ListOrdered, X } from 'lucide-react';
import { t } from '../i18n/index.ts';
import { useJobs } from '../state/jobs.ts';
import { type LeftPanel, togglePanel, useUi } from '../state/ui.ts';
import { IconButton } from '../ui/Button.tsx';
import { Library } from './Library.tsx';
import { Queue } from './Queue.tsx';
import { Templates } from './Templates.tsx';

const PANELS: readonly {
  panel: Exclude<LeftPanel, null>;
  Icon: typeof Blocks;
  Body: () => React.ReactNode;
}[] = [
  { panel: 'nodes', Icon: Blocks, Body: Library },
  { panel: 'templates', Icon: LayoutTemplate, Body: Templates },
  { panel: 'queue', Icon: ListOrdered, Body: Queue },
];

export function SideRail() {
  const open = useUi((state) => state.left);
  const busy = useJobs((state) => state.queue.running.length + state.queue.queued.length);
  const current = PANELS.find((each) => each.panel === open);
  return (
    <>
      <nav className="rail" aria-label={t('app.name')}>
        {PANELS.map(({ panel, Icon }) => (
          <button
            key={panel}
            type="button"
            className={open === panel ? 'rail-button is-active' : 'rail-button'}
            aria-pressed={open === panel}
            data-testid={`rail-${panel}`}
            onClick={() => togglePanel(panel)}
          >
            <Icon size={18} aria-hidden="true" />
            <span>{t(`panel.${panel}`)}</span>
            {panel === 'queue' && busy > 0 && <em className="rail-count">{busy}</em>}
          </button>
        ))}
      </nav>
      {current && (
        <aside className="panel panel-left" aria-label={t(`panel.${current.panel}`)}>
          <header className="panel-header">
            <h2>{t(`panel.${current.panel}`)}</h2>
            <IconButton label={t('panel.close')} onClick={() => useUi.setState({ left: null })}>
              <X size={16} />
            </IconButton>
          </header>
          <current.Body />
        </aside>
      )}
    </>
  );
}
