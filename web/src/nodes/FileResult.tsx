// A result that is no picture: a text is shown, any other file can be saved.

import { FileDown } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { OutputFile } from '../core/run.ts';

/** More letters than this are not shown on a card; the file holds all of them. */
const SHOWN = 4000;

export function FileResult({ file }: { file: OutputFile }) {
  return file.media === 'text/plain' ? <TextResult file={file} /> : <SavedFile file={file} />;
}

function TextResult({ file }: { file: OutputFile }) {
  const [text, setText] = useState<string | null>(null);
  useEffect(() => {
    const asked = new AbortController();
    fetch(file.url, { signal: asked.signal })
      .then((reply) => (reply.ok ? reply.text() : Promise.reject(new Error(reply.statusText))))
      .then(setText)
      .catch((error: unknown) => {
        if (!asked.signal.aborted) setText(String(error));
      });
    return () => asked.abort();
  }, [file.url]);
  return <pre className="result-text nowheel">{text?.slice(0, SHOWN)}</pre>;
}

function SavedFile({ file }: { file: OutputFile }) {
  const name = file.subfolder ? `${file.subfolder}/${file.filename}` : file.filename;
  return (
    <a className="result-file" href={file.url} download={file.filename}>
      <FileDown size={16} aria-hidden="true" />
      <span>{name}</span>
    </a>
  );
}
