// The behaviour of a number field: type into it, drag it sideways, or step it with the arrow keys.

import { type KeyboardEvent, type PointerEvent, useRef, useState } from 'react';
import {
  clamp,
  formatNumber,
  inRange,
  type NumberRule,
  type Numeric,
  parseNumber,
  stepBy,
} from '../../core/numbers.ts';

const PIXELS_PER_STEP = 8;
const DRAG_THRESHOLD = 3;

export function useNumberField(value: Numeric, rule: NumberRule, onChange: (value: Numeric) => void) {
  const [draft, setDraft] = useState<string | null>(null);
  const drag = useRef<{ x: number; value: Numeric; moved: boolean } | null>(null);

  const type = (text: string) => {
    setDraft(text);
    const parsed = parseNumber(text, rule);
    if (parsed !== null && inRange(parsed, rule)) onChange(parsed);
  };
  const finish = () => {
    const parsed = draft === null ? null : parseNumber(draft, rule);
    if (parsed !== null) onChange(clamp(parsed, rule));
    setDraft(null);
  };
  const step = (count: number) => {
    setDraft(null);
    onChange(stepBy(value, count, rule));
  };

  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.key === 'ArrowUp' || event.key === 'ArrowDown') {
      event.preventDefault();
      step((event.key === 'ArrowUp' ? 1 : -1) * (event.shiftKey ? 10 : 1));
    } else if (event.key === 'Enter' && !event.ctrlKey && !event.metaKey) event.currentTarget.blur();
    else if (event.key === 'Escape') {
      setDraft(null);
      event.currentTarget.blur();
    }
  };
  const onPointerDown = (event: PointerEvent<HTMLInputElement>) => {
    if (event.button !== 0 || document.activeElement === event.currentTarget) return;
    // Focus comes on release, unless the pointer was dragged meanwhile.
    event.preventDefault();
    event.currentTarget.setPointerCapture(event.pointerId);
    drag.current = { x: event.clientX, value, moved: false };
  };
  const onPointerMove = (event: PointerEvent<HTMLInputElement>) => {
    const start = drag.current;
    if (!start) return;
    const distance = event.clientX - start.x;
    if (!start.moved && Math.abs(distance) < DRAG_THRESHOLD) return;
    start.moved = true;
    const speed = event.shiftKey ? 10 : 1;
    onChange(stepBy(start.value, Math.round(distance / PIXELS_PER_STEP) * speed, rule));
  };
  const onPointerUp = (event: PointerEvent<HTMLInputElement>) => {
    const start = drag.current;
    drag.current = null;
    if (!start || start.moved) return;
    event.currentTarget.focus();
    event.currentTarget.select();
  };

  return {
    step,
    field: {
      value: draft ?? formatNumber(value),
      onChange: (event: { target: HTMLInputElement }) => type(event.target.value),
      onBlur: finish,
      onKeyDown,
      onPointerDown,
      onPointerMove,
      onPointerUp,
      onMouseDown: (event: { currentTarget: HTMLInputElement; preventDefault: () => void }) => {
        if (document.activeElement !== event.currentTarget) event.preventDefault();
      },
    },
  };
}
