// A number with step buttons; dragging sideways changes it, clicking lets one type.

import { Minus, Plus } from 'lucide-react';
import type { Numeric } from '../../core/numbers.ts';
import { t } from '../../i18n/index.ts';
import type { WidgetProps } from './InputWidget.tsx';
import { useNumberField } from './use-number-field.ts';

export function NumberWidget({ testId, label, input, value, onChange }: WidgetProps<Numeric>) {
  const { field, step } = useNumberField(value, input, onChange);
  return (
    <div className="field number nodrag">
      <button
        type="button"
        className="step"
        tabIndex={-1}
        aria-label={t('widget.decrease', { name: label })}
        onClick={() => step(-1)}
      >
        <Minus size={12} />
      </button>
      <input
        {...field}
        className="number-input"
        inputMode="decimal"
        autoComplete="off"
        spellCheck={false}
        aria-label={label}
        title={t('widget.dragHelp')}
        data-testid={testId}
      />
      <button
        type="button"
        className="step"
        tabIndex={-1}
        aria-label={t('widget.increase', { name: label })}
        onClick={() => step(1)}
      >
        <Plus size={12} />
      </button>
    </div>
  );
}
