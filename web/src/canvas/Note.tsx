// A note: a card with a text for people, which a double click opens for writing.

import type { NodeProps } from '@xyflow/react';
import { type FocusEvent, type KeyboardEvent, lazy, memo, Suspense, useEffect, useRef } from 'react';
import type { Group } from '../core/document.ts';
import { changeGroup } from '../core/edit.ts';
import { t } from '../i18n/index.ts';
import type { NoteNode } from '../state/flow.ts';
import { useGraph } from '../state/graph.ts';
import { useUi } from '../state/ui.ts';
import { cx } from '../ui/cx.ts';
import { GroupResizer } from './GroupResizer.tsx';

/** Before what draws Markdown is there, and where it could not be loaded. */
const PlainText = memo(({ text }: { text: string }) => <p>{text}</p>);

const NoteText = lazy(() => import('./NoteText.tsx').catch(() => ({ default: PlainText })));

export const Note = memo(function Note({ data, selected }: NodeProps<NoteNode>) {
  const { index } = data;
  const note = useGraph((state) => state.doc.groups[index]);
  const writing = useUi((state) => state.writing === index);
  if (!note) return null;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: F2 and the menu open it as well
    <div
      className={cx('note', selected && 'is-selected')}
      style={note.color ? ({ '--note': note.color } as React.CSSProperties) : undefined}
      data-testid={`note-${index}`}
      onDoubleClick={() => useUi.setState({ writing: index })}
    >
      <GroupResizer index={index} shown={Boolean(selected)} minHeight={64} />
      {writing ? <NoteFields index={index} note={note} /> : <NoteView note={note} selected={selected} />}
    </div>
  );
});

/** A long text is scrolled while the note is selected; else the wheel zooms as it does everywhere. */
function NoteView({ note, selected }: { note: Group; selected: boolean }) {
  return (
    <article className="note-paper" aria-label={note.title || t('note.note')}>
      {note.title && <h3 className="note-title">{note.title}</h3>}
      <div className={cx('note-text', selected && 'nowheel')}>
        {note.text ? (
          <Suspense fallback={<PlainText text={note.text} />}>
            <NoteText text={note.text} />
          </Suspense>
        ) : (
          !note.title && <p className="note-hint">{t('note.empty')}</p>
        )}
      </div>
    </article>
  );
}

/** What is typed goes into the document at once, so that a reload keeps it, and is one step of undo in the end. */
function NoteFields({ index, note }: { index: number; note: Group }) {
  const before = useRef(note);
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    area.current?.focus();
    area.current?.setSelectionRange(area.current.value.length, area.current.value.length);
  }, []);
  const { amend, edit } = useGraph.getState();
  const write = (change: Partial<Group>) => amend((doc) => changeGroup(doc, index, change));
  const onBlur = (event: FocusEvent) => {
    if (event.currentTarget.contains(event.relatedTarget)) return;
    useUi.setState({ writing: null });
    write(before.current);
    edit((doc) => changeGroup(doc, index, note));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    event.currentTarget.closest<HTMLElement>('.react-flow__node')?.focus();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it listens for the fields inside
    <div className="note-paper nodrag nopan nowheel" onBlur={onBlur} onKeyDown={onKeyDown}>
      <input
        className="note-title"
        value={note.title}
        placeholder={t('note.title')}
        aria-label={t('note.title')}
        onChange={(event) => write({ title: event.target.value })}
      />
      <textarea
        className="note-text"
        value={note.text ?? ''}
        placeholder={t('note.placeholder')}
        aria-label={t('note.text')}
        ref={area}
        onChange={(event) => write({ text: event.target.value })}
      />
    </div>
  );
}
