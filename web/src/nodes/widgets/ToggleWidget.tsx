// A switch for yes or no.

import { Switch } from 'radix-ui';
import type { WidgetProps } from './InputWidget.tsx';

export function ToggleWidget({ testId, label, value, onChange }: WidgetProps<boolean>) {
  return (
    <Switch.Root
      className="switch nodrag"
      checked={value}
      onCheckedChange={onChange}
      aria-label={label}
      data-testid={testId}
    >
      <Switch.Thumb className="switch-thumb" />
    </Switch.Root>
  );
}
