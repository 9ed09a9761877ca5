// A list to choose from, with search once it is long, driven by the keyboard as well as the pointer.

import { Check } from 'lucide-react';
import { type KeyboardEvent, useEffect, useId, useRef, useState } from 'react';
import { matchScore } from '../core/search.ts';
import { t } from '../i18n/index.ts';
import { cx } from './cx.ts';

interface ChoiceListProps {
  label: string;
  choices: readonly string[];
  value: string;
  onChoose: (choice: string) => void;
}

const SEARCH_FROM = 6;

function filterChoices(choices: readonly string[], query: string): readonly string[] {
  if (!query.trim()) return choices;
  return choices
    .map((choice) => ({ choice, score: matchScore(query.trim(), choice) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .map(({ choice }) => choice);
}

export function ChoiceList({ label, choices, value, onChoose }: ChoiceListProps) {
  const [query, setQuery] = useState('');
  const shown = filterChoices(choices, query);
  const [active, setActive] = useState(Math.max(0, choices.indexOf(value)));
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  const searchable = choices.length >= SEARCH_FROM;

  useEffect(() => {
    box.current?.querySelector<HTMLElement>('[data-entry]')?.focus();
    box.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'center' });
  }, []);
  useEffect(() => {
    box.current?.querySelector(`#${CSS.escape(`${id}-${active}`)}`)?.scrollIntoView({ block: 'nearest' });
  }, [active, id]);

  const onKeyDown = (event: KeyboardEvent) => {
    const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
    const move = moves[event.key];
    if (move !== undefined) {
      event.preventDefault();
      setActive((now) => Math.min(Math.max(now + move, 0), shown.length - 1));
    } else if (event.key === 'Enter') {
      event.preventDefault();
      const choice = shown[active];
      if (choice !== undefined) onChoose(choice);
    }
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys come from the focused field or list inside
    <div className="choices" ref={box} onKeyDown={onKeyDown}>
      {searchable && (
        <input
          className="choices-search"
          data-entry
          role="combobox"
          aria-expanded
          aria-controls={`${id}-list`}
          aria-activedescendant={`${id}-${active}`}
          placeholder={t('widget.search')}
          value={query}
          onChange={(event) => {
            setQuery(event.target.value);
            setActive(0);
          }}
        />
      )}
      <div
        className="choices-list"
        id={`${id}-list`}
        role="listbox"
        aria-label={label}
        {...(searchable
          ? {}
          : { 'data-entry': true, tabIndex: 0, 'aria-activedescendant': `${id}-${active}` })}
      >
        {shown.map((choice, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the list handles the keys
          // biome-ignore lint/a11y/useFocusableInteractive: focus stays on the search field or the list
          <div
            key={choice}
            id={`${id}-${index}`}
            role="option"
            aria-selected={choice === value}
            className={cx('choices-item', index === active && 'is-active')}
            onPointerMove={() => setActive(index)}
            onClick={() => onChoose(choice)}
          >
            <span className="choices-text">{choice}</span>
            {choice === value && <Check size={14} aria-hidden="true" />}
          </div>
        ))}
        {shown.length === 0 && (
          <p className="choices-none">{t(choices.length === 0 ? 'widget.noChoice' : 'widget.noMatch')}</p>
        )}
      </div>
    </div>
  );
}
