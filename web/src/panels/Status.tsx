// In one line: is the server there, is the engine ready, and what is the followed job doing.

import { findSpec } from '../core/catalogue.ts';
import { progress, type Run } from '../core/run.ts';
import { t } from '../i18n/index.ts';
import { catalogueNow } from '../state/catalogue.ts';
import { useGraph } from '../state/graph.ts';
import { type JobsState, useJobs } from '../state/jobs.ts';
import { formatSeconds } from '../ui/format.ts';
import { Tip } from '../ui/Tip.tsx';

interface Line {
  tone: 'good' | 'busy' | 'bad' | 'idle';
  text: string;
  help: string;
}

function runLine(run: Run): Line | null {
  switch (run.state) {
    case 'queued':
      return { tone: 'busy', text: t('status.queued'), help: '' };
    case 'running': {
      const id = Object.keys(run.nodes).find((each) => run.nodes[each]?.phase === 'running');
      const node = id ? useGraph.getState().doc.nodes[id] : undefined;
      const title = node && (node.title ?? findSpec(catalogueNow(), node.classType)?.title ?? node.classType);
      const text = t('status.running', { percent: Math.round(progress(run) * 100) });
      return { tone: 'busy', text: title ? `${text} · ${title}` : text, help: '' };
    }
    case 'done':
      return run.seconds === null
        ? null
        : { tone: 'good', text: t('status.doneIn', { time: formatSeconds(run.seconds) }), help: '' };
    case 'failed':
      return { tone: 'bad', text: t('status.runFailed'), help: run.error?.message ?? '' };
    case 'cancelled':
      return { tone: 'idle', text: t('status.cancelled'), help: '' };
  }
}

function statusLine({ connection, version, engine, run }: JobsState): Line {
  if (connection === 'lost') return { tone: 'bad', text: t('status.lost'), help: t('status.lostHelp') };
  if (connection === 'connecting' || engine === null)
    return { tone: 'idle', text: t('status.connecting'), help: '' };
  const { state, device, precision, message } = engine;
  if (state === 'failed' || state === 'stopped')
    return { tone: 'bad', text: t(`status.${state}`), help: message ?? t(`status.${state}Help`) };
  if (state !== 'ready')
    return { tone: 'idle', text: t(`status.${state}`), help: message ?? t('status.startingHelp') };
  const ready = [t('status.version', { version }), device, precision].filter(Boolean).join(', ');
  const line = run && runLine(run);
  if (line) return { ...line, help: line.help || ready };
  return {
    tone: 'good',
    text: device ? t('status.readyOn', { device: device.toUpperCase() }) : t('status.ready'),
    help: ready,
  };
}

export function Status() {
  const line = statusLine(useJobs());
  return (
    <Tip text={line.help || line.text} side="bottom">
      <div className={`status is-${line.tone}`} role="status" data-testid="status">
        <span className="status-dot" />
        <span className="status-text">{line.text}</span>
      </div>
    </Tip>
  );
}
