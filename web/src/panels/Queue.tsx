// The jobs: what waits, what runs, what was made, and what went wrong.

import { CircleAlert, CircleCheck, CircleSlash, Clock, FolderInput, LoaderCircle, X } from 'lucide-react';
import type { Job } from '../api/client.ts';
import { progress } from '../core/run.ts';
import { t } from '../i18n/index.ts';
import { openJobWorkflow } from '../state/files.ts';
import { useJobs } from '../state/jobs.ts';
import { loadMoreJobs } from '../state/recent.ts';
import { report } from '../state/report.ts';
import { cancelById } from '../state/run.ts';
import { Button, IconButton } from '../ui/Button.tsx';
import { duration, formatMoment } from '../ui/format.ts';
import { Thumbnail } from '../ui/Thumbnail.tsx';

const ICONS = {
  queued: Clock,
  running: LoaderCircle,
  done: CircleCheck,
  failed: CircleAlert,
  cancelled: CircleSlash,
};

export function Queue() {
  const jobs = useJobs((state) => state.recent);
  const loaded = useJobs((state) => state.loaded);
  const next = useJobs((state) => state.nextPage);
  if (loaded && jobs.length === 0)
    return (
      <div className="panel-empty">
        <b>{t('queue.empty')}</b>
        <p>{t('queue.emptyHelp')}</p>
      </div>
    );
  return (
    <div className="panel-body" data-testid="queue">
      {jobs.map((job) => (
        <Entry key={job.id} job={job} />
      ))}
      {next && (
        <Button look="soft" onClick={() => report(loadMoreJobs(), t('gallery.moreFailed'))}>
          {t('gallery.more')}
        </Button>
      )}
    </div>
  );
}

function Entry({ job }: { job: Job }) {
  const run = useJobs((state) => (state.run?.job === job.id ? state.run : null));
  const Icon = ICONS[job.state];
  const picture = Object.values(job.outputs).flat()[0];
  const open = job.state === 'queued' || job.state === 'running';
  const took = duration(job.started_at, job.finished_at);
  const percent = run && job.state === 'running' ? `${Math.round(progress(run) * 100)} %` : null;
  const blank = (
    <span className="job-picture job-blank">
      <Icon size={16} aria-hidden="true" />
    </span>
  );
  return (
    <div className={`job is-${job.state}`} data-testid={`job-${job.id}`} data-state={job.state}>
      {picture?.thumbnail_url ? (
        <Thumbnail className="job-picture" src={picture.thumbnail_url} alt="" blank={blank} />
      ) : (
        blank
      )}
      <div className="job-text">
        <b>{job.title || t('top.untitled')}</b>
        <span>
          <Icon size={12} aria-hidden="true" className="job-icon" />
          {t(`queue.${job.state}`)} {percent ?? took ?? ''} · {formatMoment(job.created_at)}
        </span>
        {job.error && (
          <span className="job-error" title={job.error.message}>
            {job.error.message}
          </span>
        )}
      </div>
      {open ? (
        <IconButton label={t('queue.cancel')} onClick={() => report(cancelById(job.id))}>
          <X size={16} />
        </IconButton>
      ) : (
        <IconButton label={t('queue.load')} onClick={() => report(openJobWorkflow(job.id))}>
          <FolderInput size={16} />
        </IconButton>
      )}
    </div>
  );
}
