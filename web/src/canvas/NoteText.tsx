// A note's Markdown, drawn. A module of its own because its library is only loaded once there is a note.

import { memo } from 'react';
import Markdown, { type Components } from 'react-markdown';

const COMPONENTS: Components = {
  a: ({ href, children }) => <Outside to={href}>{children}</Outside>,
  // Opening somebody's file must not tell a server on the web about it: pictures are links.
  img: ({ src, alt }) => <Outside to={src}>{alt || src}</Outside>,
};

/** A link out of the editor. What has no address that is safe to open is only text. */
function Outside({ to, children }: { to: string | undefined; children: React.ReactNode }) {
  if (!to) return <span>{children}</span>;
  return (
    <a href={to} target="_blank" rel="noopener noreferrer" draggable={false}>
      {children}
    </a>
  );
}

export default memo(function NoteText({ text }: { text: string }) {
  return <Markdown components={COMPONENTS}>{text}</Markdown>;
});
