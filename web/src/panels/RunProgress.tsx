// The thin line under the top bar, and the page's title: how far the followed job is.

import { useEffect } from 'react';
import { isFinished, progress } from '../core/run.ts';
import { t } from '../i18n/index.ts';
import { useGraph } from '../state/graph.ts';
import { useJobs } from '../state/jobs.ts';

export function RunProgress() {
  const run = useJobs((state) => state.run);
  const name = useGraph((state) => state.name);
  const active = run !== null && !isFinished(run.state);
  const percent = active ? Math.round(progress(run) * 100) : 0;
  useEffect(() => {
    const page = name ? `${name} · ${t('app.name')}` : t('app.name');
    document.title = active ? `${percent} % · ${page}` : page;
  }, [active, percent, name]);
  if (!active) return null;
  return (
    <div
      className="run-progress"
      role="progressbar"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
      aria-label={t('status.running', { percent })}
    >
      <div className={run.state === 'queued' ? 'fill is-endless' : 'fill'} style={{ width: `${percent}%` }} />
    </div>
  );
}
