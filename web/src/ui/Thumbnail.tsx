// A small picture from the server. Where it could not be fetched something else is shown, until the connection is back.

import { type ReactNode, useState } from 'react';
import { useJobs } from '../state/jobs.ts';

interface ThumbnailProps {
  src: string;
  alt: string;
  className?: string;
  /** Shown in its place where there is no picture. */
  blank: ReactNode;
}

export function Thumbnail({ src, alt, className, blank }: ThumbnailProps) {
  const connections = useJobs((state) => state.connections);
  const [failed, setFailed] = useState('');
  const attempt = `${connections} ${src}`;
  if (failed === attempt) return blank;
  return (
    <img
      src={src}
      alt={alt}
      className={className}
      loading="lazy"
      draggable={false}
      onError={() => setFailed(attempt)}
    />
  );
}
