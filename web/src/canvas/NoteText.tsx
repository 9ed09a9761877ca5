// A note's Markdown, drawn. A module of its own because its library is only loaded once there is a note.

import { memo } from 'react';
import Markdown, { type Components, type Options } from 'react-markdown';
import remarkGfm from 'remark-gfm';
import { t } from '../i18n/index.ts';

/** Tables, task lists and bare addresses, as people write them everywhere. */
const PLUGINS: NonNullable<Options['remarkPlugins']> = [remarkGfm];

const COMPONENTS: Components = {
  a: ({ href, children }) => <Outside to={href}>{children}</Outside>,
  // Opening somebody's file must not tell a server on the web about it: pictures are links.
  img: ({ src, alt }) => <Outside to={src}>{alt || src}</Outside>,
};

/** A link out of the editor. What has no address that is safe to open, or leads to a place in the note, is only text. */
function Outside({ to, children }: { to: string | undefined; children: React.ReactNode }) {
  if (!to || to.startsWith('#')) return <span>{children}</span>;
  return (
    <a href={to} target="_blank" rel="noopener noreferrer" draggable={false}>
      {children}
    </a>
  );
}

export default memo(function NoteText({ text }: { text: string }) {
  return (
    <Markdown
      components={COMPONENTS}
      remarkPlugins={PLUGINS}
      remarkRehypeOptions={{ footnoteLabel: t('note.footnotes') }}
    >
      {text}
    </Markdown>
  );
});
