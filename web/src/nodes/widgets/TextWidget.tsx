// Text: one line, or several that grow with what is written.

import { useLayoutEffect, useRef } from 'react';
import type { WidgetProps } from './InputWidget.tsx';

const MAX_HEIGHT = 220;
const sizesItself = typeof CSS !== 'undefined' && CSS.supports('field-sizing', 'content');

export function TextWidget({ multiline, ...props }: WidgetProps<string> & { multiline?: boolean }) {
  if (multiline) return <Multiline {...props} />;
  const { testId, label, value, onChange } = props;
  return (
    <input
      className="field text nodrag"
      value={value}
      spellCheck={false}
      aria-label={label}
      data-testid={testId}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

function Multiline({ testId, label, input, value, onChange }: WidgetProps<string>) {
  const area = useRef<HTMLTextAreaElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: measured anew whenever the text changes
  useLayoutEffect(() => {
    const element = area.current;
    if (!element || sizesItself) return;
    element.style.height = 'auto';
    element.style.height = `${Math.min(element.scrollHeight, MAX_HEIGHT)}px`;
  }, [value]);
  return (
    <textarea
      ref={area}
      className="field multiline nodrag nowheel nopan"
      value={value}
      rows={3}
      placeholder={input.help}
      aria-label={label}
      data-testid={testId}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}
