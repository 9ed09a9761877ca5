// A seed, a die to draw another, and what happens to it after each run.

import { ArrowDown, ArrowUp, Dices, Lock, Shuffle } from 'lucide-react';
import type { SeedControl } from '../../core/document.ts';
import { setSeedControl } from '../../core/edit.ts';
import type { Numeric } from '../../core/numbers.ts';
import { drawSeed } from '../../core/seed.ts';
import { t } from '../../i18n/index.ts';
import { useGraph } from '../../state/graph.ts';
import { IconButton } from '../../ui/Button.tsx';
import { Dropdown } from '../../ui/Menu.tsx';
import type { WidgetProps } from './InputWidget.tsx';
import { useNumberField } from './use-number-field.ts';

const CONTROLS: readonly { control: SeedControl; key: string; Icon: typeof Lock }[] = [
  { control: 'fixed', key: 'widget.seedFixed', Icon: Lock },
  { control: 'randomize', key: 'widget.seedRandomize', Icon: Shuffle },
  { control: 'increment', key: 'widget.seedIncrement', Icon: ArrowUp },
  { control: 'decrement', key: 'widget.seedDecrement', Icon: ArrowDown },
];

interface SeedProps extends WidgetProps<Numeric> {
  node: string;
  control: SeedControl;
}

export function SeedWidget({ testId, label, input, value, onChange, node, control }: SeedProps) {
  const edit = useGraph((state) => state.edit);
  const { field } = useNumberField(value, input, onChange);
  const current = CONTROLS.find((each) => each.control === control) ?? CONTROLS[0];
  if (!current) return null;
  const Icon = current.Icon;
  return (
    <div className="field seed nodrag">
      <input
        {...field}
        className="number-input"
        inputMode="numeric"
        autoComplete="off"
        aria-label={label}
        data-testid={testId}
      />
      <IconButton
        label={t('widget.seedDraw')}
        className="step"
        data-testid={`${testId}-draw`}
        onClick={() => onChange(drawSeed(input, Math.random))}
      >
        <Dices size={14} />
      </IconButton>
      <Dropdown
        align="end"
        trigger={
          <button
            type="button"
            className="step"
            aria-label={t(current.key)}
            title={t(current.key)}
            data-testid={`${testId}-control`}
            data-control={control}
          >
            <Icon size={14} />
          </button>
        }
        entries={CONTROLS.map((each) => ({
          label: t(each.key),
          icon: <each.Icon size={14} />,
          checked: each.control === control,
          testId: `${testId}-control-${each.control}`,
          onSelect: () => edit((doc) => setSeedControl(doc, node, input.name, each.control)),
        }))}
      />
    </div>
  );
}
