// One picture large, with what is known of it and what can be done with it.

import { ChevronLeft, ChevronRight, Download, ExternalLink, FolderInput, X } from 'lucide-react';
import { Dialog } from 'radix-ui';
import { type KeyboardEvent, useMemo } from 'react';
import type { OutputFile } from '../core/run.ts';
import { t } from '../i18n/index.ts';
import { openJobWorkflow } from '../state/files.ts';
import { useJobs } from '../state/jobs.ts';
import { report } from '../state/report.ts';
import { type LightboxItem, useUi } from '../state/ui.ts';
import { Button, IconButton } from '../ui/Button.tsx';
import { duration, toDate } from '../ui/format.ts';
import { picturesOf } from './Gallery.tsx';

/** Small pictures are enlarged, but no further than they bear. */
const ENLARGEMENT = 4;
const shownWidth = ({ width }: OutputFile): string | undefined =>
  width === null ? undefined : `min(100%, ${width * ENLARGEMENT}px)`;

const close = () => useUi.setState({ lightbox: null });

export function Lightbox() {
  const item = useUi((state) => state.lightbox);
  return (
    <Dialog.Root open={item !== null} onOpenChange={(open) => open || close()}>
      <Dialog.Portal>
        <Dialog.Overlay className="overlay" />
        {item && <Picture item={item} />}
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Picture({ item }: { item: LightboxItem }) {
  const jobs = useJobs((state) => state.recent);
  const items = useMemo(() => picturesOf(jobs), [jobs]);
  const at = items.findIndex((each) => each.file.url === item.file.url);
  const go = (step: number) => {
    const next = items[at + step];
    if (at >= 0 && next) useUi.setState({ lightbox: { file: next.file, job: next.job.id } });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowLeft') go(-1);
    if (event.key === 'ArrowRight') go(1);
  };
  const { file } = item;
  return (
    <Dialog.Content
      className="lightbox"
      aria-describedby={undefined}
      data-testid="lightbox"
      onKeyDown={onKeyDown}
      onOpenAutoFocus={(event) => {
        event.preventDefault();
        if (event.currentTarget instanceof HTMLElement) event.currentTarget.focus();
      }}
    >
      <div className="lightbox-stage">
        <img src={file.url} alt={file.filename} style={{ width: shownWidth(file) }} />
        {items[at - 1] && at > 0 && (
          <IconButton label={t('gallery.previous')} className="lightbox-prev" onClick={() => go(-1)}>
            <ChevronLeft size={22} />
          </IconButton>
        )}
        {at >= 0 && items[at + 1] && (
          <IconButton label={t('gallery.next')} className="lightbox-next" onClick={() => go(1)}>
            <ChevronRight size={22} />
          </IconButton>
        )}
      </div>
      <Facts item={item} />
    </Dialog.Content>
  );
}

function Facts({ item }: { item: LightboxItem }) {
  const { file } = item;
  const job = useJobs((state) => state.recent.find((each) => each.id === item.job));
  const took = job ? duration(job.started_at, job.finished_at) : null;
  return (
    <div className="lightbox-facts">
      <header className="panel-header">
        <Dialog.Title asChild>
          <h2 title={file.filename}>{file.filename}</h2>
        </Dialog.Title>
        <Dialog.Close asChild>
          <button type="button" className="icon-button" aria-label={t('gallery.close')}>
            <X size={16} />
          </button>
        </Dialog.Close>
      </header>
      <dl className="facts">
        {file.width !== null && (
          <div>
            <dt>{t('gallery.dimensions')}</dt>
            <dd>{t('gallery.size', { width: file.width, height: file.height })}</dd>
          </div>
        )}
        {job && (
          <div>
            <dt>{t('gallery.made')}</dt>
            <dd>{toDate(job.created_at).toLocaleString()}</dd>
          </div>
        )}
        {took && (
          <div>
            <dt>{t('gallery.took')}</dt>
            <dd>{took}</dd>
          </div>
        )}
        {job?.title && (
          <div>
            <dt>{t('gallery.workflow')}</dt>
            <dd>{job.title}</dd>
          </div>
        )}
      </dl>
      <div className="lightbox-actions">
        {item.job && (
          <Button
            look="primary"
            icon={<FolderInput size={14} />}
            data-testid="load-workflow"
            onClick={() => {
              if (item.job) report(openJobWorkflow(item.job).then((opened) => opened && close()));
            }}
          >
            {t('gallery.loadWorkflow')}
          </Button>
        )}
        <a className="button button-soft" href={file.url} download={file.filename}>
          <Download size={14} aria-hidden="true" />
          {t('gallery.download')}
        </a>
        <a className="button button-soft" href={file.url} target="_blank" rel="noreferrer">
          <ExternalLink size={14} aria-hidden="true" />
          {t('gallery.openTab')}
        </a>
      </div>
    </div>
  );
}
