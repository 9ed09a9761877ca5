// What a node made: the live preview while it samples, then its pictures.

import { ImageIcon } from 'lucide-react';
import { useState } from 'react';
import type { NodeSpec } from '../core/catalogue.ts';
import type { NodeRun, OutputFile } from '../core/run.ts';
import { t } from '../i18n/index.ts';
import { useGraph } from '../state/graph.ts';
import { useJobs } from '../state/jobs.ts';
import { useUi } from '../state/ui.ts';
import { cx } from '../ui/cx.ts';
import { FileResult } from './FileResult.tsx';

interface ResultProps {
  id: string;
  spec: NodeSpec | undefined;
  run: NodeRun | undefined;
}

export function NodeResult({ id, spec, run }: ResultProps) {
  const epoch = useGraph((state) => state.epoch);
  const preview = useJobs((state) => (state.runEpoch === epoch ? state.previews[id] : undefined));
  const files = run?.outputs ?? [];
  if (files.length > 0) return <Results id={id} files={files} />;
  if (preview)
    return (
      <div className="result">
        <img
          className={cx('result-picture', run?.phase === 'running' && 'is-live')}
          src={preview}
          alt=""
          draggable={false}
        />
      </div>
    );
  if (!spec?.output) return null;
  return (
    <div className="result result-empty">
      <ImageIcon size={20} aria-hidden="true" />
      <span>{t('node.noResult')}</span>
    </div>
  );
}

/** Pictures in one frame, and below it what is no picture. */
function Results({ id, files }: { id: string; files: readonly OutputFile[] }) {
  const pictures = files.filter((file) => file.media.startsWith('image/'));
  return (
    <>
      {pictures.length > 0 && <Pictures id={id} files={pictures} />}
      {files
        .filter((file) => !pictures.includes(file))
        .map((file) => (
          <div key={file.url} className="result nodrag" data-testid={`result-${id}`}>
            <FileResult file={file} />
          </div>
        ))}
    </>
  );
}

/** Above this many pixels a side, the card shows the server's thumbnail instead of the whole file. */
const LARGE = 1024;

function Pictures({ id, files }: { id: string; files: readonly OutputFile[] }) {
  const [chosen, setChosen] = useState(0);
  const index = Math.min(chosen, files.length - 1);
  const file = files[index];
  const job = useJobs((state) => state.run?.job ?? null);
  if (!file) return null;
  const large = Math.max(file.width ?? 0, file.height ?? 0) > LARGE && file.thumbnail_url;
  return (
    <div className="result nodrag" data-testid={`result-${id}`}>
      <button
        type="button"
        className="result-open"
        aria-label={t('gallery.picture', { name: file.filename })}
        onClick={() => useUi.setState({ lightbox: { file, job } })}
      >
        <img
          className="result-picture"
          src={large ? `${file.thumbnail_url}?size=512` : file.url}
          alt={file.filename}
          draggable={false}
          style={file.width && file.height ? { aspectRatio: `${file.width} / ${file.height}` } : {}}
        />
      </button>
      {files.length > 1 && (
        <div className="result-strip">
          {files.map((each, at) => (
            <button
              key={each.url}
              type="button"
              className={cx('result-thumb', at === index && 'is-active')}
              aria-label={t('gallery.picture', { name: each.filename })}
              onClick={() => setChosen(at)}
            >
              <img src={each.thumbnail_url ?? each.url} alt="" draggable={false} />
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
