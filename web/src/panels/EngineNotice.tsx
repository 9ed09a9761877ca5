// Why nothing can run, while the engine cannot start: across the top of the canvas, for as long as it holds.

import { CircleAlert } from 'lucide-react';
import { t } from '../i18n/index.ts';
import { useJobs } from '../state/jobs.ts';

export function EngineNotice() {
  const engine = useJobs((state) => (state.connection === 'live' ? state.engine : null));
  if (engine?.state !== 'failed' && engine?.state !== 'stopped') return null;
  return (
    <section className="engine-notice" role="alert" data-testid="engine-notice">
      <CircleAlert size={18} aria-hidden="true" />
      <div>
        <b>{t(`status.${engine.state}`)}</b>
        <p>{engine.message ?? t(`status.${engine.state}Help`)}</p>
      </div>
    </section>
  );
}
