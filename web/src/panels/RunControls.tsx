// Run, how many times, and Cancel.

import { Minus, Play, Plus, Square } from 'lucide-react';
import { isFinished } from '../core/run.ts';
import { t } from '../i18n/index.ts';
import { useJobs } from '../state/jobs.ts';
import { report } from '../state/report.ts';
import { cancelRun, runWorkflow } from '../state/run.ts';
import { useSettings } from '../state/settings.ts';
import { Button } from '../ui/Button.tsx';
import { MOD } from '../ui/keys.ts';
import { Tip } from '../ui/Tip.tsx';

const MAX_BATCH = 100;

export function RunControls() {
  const live = useJobs((state) => state.connection === 'live');
  const ready = useJobs((state) => live && state.engine?.state === 'ready');
  const submitting = useJobs((state) => state.submitting);
  const busy = useJobs(
    (state) => state.queue.running.length > 0 || (state.run !== null && !isFinished(state.run.state)),
  );
  const waiting = useJobs((state) => state.queue.queued.length);
  return (
    <div className="run-controls">
      <Batch />
      <Tip text={t('top.run')} keys={`${MOD}Enter`} side="bottom">
        <Button
          look="primary"
          className="run-button"
          data-testid="run-button"
          disabled={!ready || submitting}
          icon={<Play size={14} fill="currentColor" aria-hidden="true" />}
          onClick={() => report(runWorkflow())}
        >
          {t('top.run')}
          {waiting > 0 && (
            <span className="run-waiting" title={t('top.queueCount', { count: waiting })}>
              {waiting}
            </span>
          )}
        </Button>
      </Tip>
      <Button
        look="soft"
        className="cancel-button"
        data-testid="cancel-button"
        disabled={!live || !busy}
        icon={<Square size={12} fill="currentColor" aria-hidden="true" />}
        onClick={() => report(cancelRun())}
      >
        {t('top.cancel')}
      </Button>
    </div>
  );
}

function Batch() {
  const batch = useSettings((state) => state.batch);
  const set = (next: number) => useSettings.setState({ batch: Math.min(Math.max(next, 1), MAX_BATCH) });
  return (
    <Tip text={t('top.batchHelp')} side="bottom">
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset would draw its own frame */}
      <div className="batch" role="group" aria-label={t('top.batchHelp')}>
        <button type="button" aria-label="−1" disabled={batch <= 1} onClick={() => set(batch - 1)}>
          <Minus size={12} />
        </button>
        <input
          value={batch}
          inputMode="numeric"
          aria-label={t('top.batch')}
          data-testid="batch-count"
          onChange={(event) => set(Number.parseInt(event.target.value, 10) || 1)}
        />
        <button type="button" aria-label="+1" onClick={() => set(batch + 1)}>
          <Plus size={12} />
        </button>
      </div>
    </Tip>
  );
}
