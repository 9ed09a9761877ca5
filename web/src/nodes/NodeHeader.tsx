// The top of a card: title (renamed in place), how its last run went, progress, help.

import { ChevronDown, ChevronRight, CircleHelp, EyeOff, Redo2, Zap } from 'lucide-react';
import { type KeyboardEvent, useState } from 'react';
import type { NodeSpec } from '../core/catalogue.ts';
import type { GraphNode } from '../core/document.ts';
import { renameNode, toggleCollapsed } from '../core/edit.ts';
import type { NodeRun } from '../core/run.ts';
import { t } from '../i18n/index.ts';
import { useGraph } from '../state/graph.ts';
import { useUi } from '../state/ui.ts';
import { IconButton } from '../ui/Button.tsx';
import { formatSeconds } from '../ui/format.ts';
import { Tip } from '../ui/Tip.tsx';
import { NodeHelp } from './NodeHelp.tsx';

interface HeaderProps {
  node: GraphNode;
  spec: NodeSpec | undefined;
  run: NodeRun | undefined;
}

export function NodeHeader({ node, spec, run }: HeaderProps) {
  const edit = useGraph((state) => state.edit);
  const renaming = useUi((state) => state.renaming === node.id);
  const title = node.title ?? spec?.title ?? node.classType;
  return (
    <header
      className="card-header"
      style={
        node.color ? { background: `color-mix(in oklab, ${node.color} 40%, var(--card-header))` } : undefined
      }
    >
      <button
        type="button"
        className="card-fold nodrag"
        aria-label={t(node.collapsed ? 'node.expand' : 'node.collapse')}
        aria-expanded={!node.collapsed}
        onClick={() => edit((doc) => toggleCollapsed(doc, [node.id]))}
      >
        {node.collapsed ? <ChevronRight size={14} /> : <ChevronDown size={14} />}
      </button>
      {renaming ? (
        <TitleField id={node.id} title={title} />
      ) : (
        <h3
          className="card-title"
          title={spec && title !== spec.title ? `${title} · ${spec.title}` : title}
          onDoubleClick={() => useUi.setState({ renaming: node.id })}
        >
          {title}
        </h3>
      )}
      <Badges mode={node.mode} run={run} />
      {spec && (
        <NodeHelp spec={spec}>
          <IconButton label={t('node.help')} className="card-help nodrag">
            <CircleHelp size={14} />
          </IconButton>
        </NodeHelp>
      )}
      {run?.phase === 'running' && <Progress run={run} />}
    </header>
  );
}

function Badges({ mode, run }: { mode: GraphNode['mode']; run: NodeRun | undefined }) {
  if (mode === 'mute')
    return (
      <span className="badge">
        <EyeOff size={12} /> {t('node.muted')}
      </span>
    );
  if (mode === 'bypass')
    return (
      <span className="badge">
        <Redo2 size={12} /> {t('node.bypassed')}
      </span>
    );
  if (run?.phase === 'cached')
    return (
      <Tip text={`${t('node.cached')}: ${t('node.cachedHelp')}`}>
        <span className="badge badge-cached" role="img" aria-label={t('node.cached')}>
          <Zap size={12} fill="currentColor" />
        </span>
      </Tip>
    );
  if (run?.phase === 'running' && run.total > 0)
    return (
      <span className="badge badge-running">
        {run.done}/{run.total}
      </span>
    );
  if (run?.seconds != null) return <span className="badge">{formatSeconds(run.seconds)}</span>;
  return null;
}

function Progress({ run }: { run: NodeRun }) {
  const known = run.total > 0;
  return (
    <div
      className="card-progress"
      role="progressbar"
      aria-valuemin={0}
      aria-valuemax={run.total || 1}
      {...(known ? { 'aria-valuenow': run.done } : {})}
      aria-label={known ? t('node.progress', { done: run.done, total: run.total }) : t('node.waiting')}
    >
      <div
        className={known ? 'fill' : 'fill is-endless'}
        style={known ? { width: `${(run.done / run.total) * 100}%` } : {}}
      />
    </div>
  );
}

function TitleField({ id, title }: { id: string; title: string }) {
  const edit = useGraph((state) => state.edit);
  const [text, setText] = useState(title);
  const close = (keep: boolean) => {
    if (keep && text !== title) edit((doc) => renameNode(doc, id, text));
    useUi.setState({ renaming: null });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter') close(true);
    if (event.key === 'Escape') close(false);
    event.stopPropagation();
  };
  return (
    <input
      className="card-rename nodrag"
      value={text}
      // biome-ignore lint/a11y/noAutofocus: the person just asked to rename
      autoFocus
      aria-label={t('node.rename')}
      onFocus={(event) => event.target.select()}
      onChange={(event) => setText(event.target.value)}
      onBlur={() => close(true)}
      onKeyDown={onKeyDown}
    />
  );
}
