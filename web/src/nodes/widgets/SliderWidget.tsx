// A ranged number: a slider for the feel of it, and a field for the exact value.

import { Slider } from 'radix-ui';
import { stepOf } from '../../core/numbers.ts';
import type { WidgetProps } from './InputWidget.tsx';
import { useNumberField } from './use-number-field.ts';

export function SliderWidget({ testId, label, input, value, onChange }: WidgetProps<number>) {
  const { field } = useNumberField(value, input, (next) => onChange(Number(next)));
  return (
    <div className="slider nodrag">
      <Slider.Root
        className="slider-root"
        value={[value]}
        min={input.min ?? 0}
        max={Number(input.max ?? 1)}
        step={stepOf(input)}
        onValueChange={([next]) => next !== undefined && onChange(next)}
      >
        <Slider.Track className="slider-track">
          <Slider.Range className="slider-range" />
        </Slider.Track>
        <Slider.Thumb className="slider-thumb" aria-label={label} />
      </Slider.Root>
      <div className="field number slider-field">
        <input
          {...field}
          className="number-input"
          inputMode="decimal"
          aria-label={label}
          data-testid={testId}
        />
      </div>
    </div>
  );
}
