// One of several: a button that opens a list with search and keyboard control. Lists of files come fresh each time.

import { ChevronDown, TriangleAlert } from 'lucide-react';
import { Popover } from 'radix-ui';
import { useState } from 'react';
import { t } from '../../i18n/index.ts';
import { loadCatalogue } from '../../state/catalogue.ts';
import { report } from '../../state/report.ts';
import { ChoiceList } from '../../ui/ChoiceList.tsx';
import { cx } from '../../ui/cx.ts';
import type { WidgetProps } from './InputWidget.tsx';

export function ChoiceWidget({ testId, label, input, value, onChange }: WidgetProps<string>) {
  const [open, setOpen] = useState(false);
  const choices = input.choices ?? [];
  const missing = value !== '' && !choices.includes(value);
  const change = (next: boolean) => {
    setOpen(next);
    if (next && input.widget === 'model') report(loadCatalogue(), t('widget.listFailed'));
  };
  return (
    <Popover.Root open={open} onOpenChange={change}>
      <Popover.Trigger asChild>
        <button
          type="button"
          className={cx('field choice nodrag', missing && 'is-missing')}
          aria-label={`${label}: ${value || t('widget.choose')}`}
          title={missing ? t('widget.missingChoice', { value }) : value}
          data-testid={testId}
          data-value={value}
        >
          {missing && <TriangleAlert size={12} className="choice-warning" />}
          <span className="choice-text">{value || t('widget.choose')}</span>
          <ChevronDown size={14} className="choice-arrow" />
        </button>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          className="popover choice-popover"
          align="start"
          sideOffset={4}
          collisionPadding={8}
          onOpenAutoFocus={(event) => event.preventDefault()}
        >
          <ChoiceList
            label={label}
            choices={choices}
            value={value}
            onChoose={(next) => {
              onChange(next);
              setOpen(false);
            }}
          />
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}
