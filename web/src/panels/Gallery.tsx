// Everything that was made, newest first. It comes from the server, so a reload loses nothing.

import { ImageIcon, ImageOff, X } from 'lucide-react';
import { useMemo } from 'react';
import type { Job } from '../api/client.ts';
import type { OutputFile } from '../core/run.ts';
import { t } from '../i18n/index.ts';
import { useJobs } from '../state/jobs.ts';
import { loadMoreJobs } from '../state/recent.ts';
import { report } from '../state/report.ts';
import { useUi } from '../state/ui.ts';
import { Button, IconButton } from '../ui/Button.tsx';
import { Thumbnail } from '../ui/Thumbnail.tsx';

interface GalleryItem {
  file: OutputFile;
  job: Job;
}

/**
 * All pictures of the given jobs (newest first); saved ones, and previews of jobs that saved nothing. A picture that a
 * later job took from the cache is shown once, as the work of the job that made it.
 */
export function picturesOf(jobs: readonly Job[]): GalleryItem[] {
  const items = jobs.flatMap((job) => {
    const files = Object.values(job.outputs)
      .flat()
      .filter((file) => file.thumbnail_url !== null);
    const saved = files.filter((file) => file.type === 'output');
    return (saved.length > 0 ? saved : files).map((file) => ({ file, job }));
  });
  return [...new Map(items.map((item) => [item.file.url, item])).values()];
}

export function Gallery() {
  const open = useUi((state) => state.gallery);
  return open && <OpenGallery />;
}

function OpenGallery() {
  const jobs = useJobs((state) => state.recent);
  const loaded = useJobs((state) => state.loaded);
  const next = useJobs((state) => state.nextPage);
  const items = useMemo(() => picturesOf(jobs), [jobs]);
  return (
    <aside className="panel panel-right" aria-label={t('panel.gallery')} data-testid="gallery">
      <header className="panel-header">
        <h2>{t('panel.gallery')}</h2>
        <IconButton label={t('panel.close')} onClick={() => useUi.setState({ gallery: false })}>
          <X size={16} />
        </IconButton>
      </header>
      {loaded && items.length === 0 ? (
        <div className="panel-empty">
          <ImageIcon size={28} aria-hidden="true" />
          <b>{t('gallery.empty')}</b>
          <p>{t('gallery.emptyHelp')}</p>
        </div>
      ) : (
        <div className="panel-body">
          <div className="gallery-grid">
            {items.map(({ file, job }) => (
              <button
                key={`${job.id}/${file.url}`}
                type="button"
                className="gallery-item"
                data-testid="gallery-item"
                aria-label={t('gallery.picture', { name: file.filename })}
                onClick={() => useUi.setState({ lightbox: { file, job: job.id } })}
              >
                <Thumbnail
                  src={file.thumbnail_url ?? file.url}
                  alt={file.filename}
                  blank={<ImageOff size={20} />}
                />
              </button>
            ))}
          </div>
          {next && (
            <Button look="soft" onClick={() => report(loadMoreJobs(), t('gallery.moreFailed'))}>
              {t('gallery.more')}
            </Button>
          )}
        </div>
      )}
    </aside>
  );
}
