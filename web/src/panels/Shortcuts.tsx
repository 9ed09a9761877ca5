// The sheet of keyboard shortcuts.

import { X } from 'lucide-react';
import { Dialog } from 'radix-ui';
import { t } from '../i18n/index.ts';
import { useUi } from '../state/ui.ts';
import { MOD, SHIFT } from '../ui/keys.ts';

const sections = (): readonly { key: string; rows: readonly (readonly [string, ...string[]])[] }[] => [
  {
    key: 'keys.workflow',
    rows: [
      ['keys.run', `${MOD}Enter`],
      ['keys.save', `${MOD}S`],
      ['keys.open', `${MOD}O`],
      ['keys.addNode', t('keys.doubleClick'), '/'],
    ],
  },
  {
    key: 'keys.editing',
    rows: [
      ['keys.undo', `${MOD}Z`],
      ['keys.redo', `${MOD}${SHIFT}Z`, `${MOD}Y`],
      ['keys.copy', `${MOD}C`],
      ['keys.cut', `${MOD}X`],
      ['keys.paste', `${MOD}V`],
      ['keys.duplicate', `${MOD}D`],
      ['keys.delete', 'Del'],
      ['keys.mute', 'M'],
      ['keys.bypass', 'B'],
      ['keys.collapse', 'C'],
      ['keys.rename', 'F2'],
      ['keys.group', `${MOD}G`],
      ['keys.addNote', 'N'],
    ],
  },
  {
    key: 'keys.view',
    rows: [
      ['keys.fit', 'F'],
      ['keys.arrange', 'L'],
      ['keys.selectAll', `${MOD}A`],
      ['keys.boxSelect', `${SHIFT}${t('keys.drag')}`],
      ['keys.pan', t('keys.drag'), t('keys.spaceDrag')],
      ['keys.gallery', 'G'],
      ['keys.help', '?'],
    ],
  },
];

export function Shortcuts() {
  const open = useUi((state) => state.shortcuts);
  return (
    <Dialog.Root open={open} onOpenChange={(shortcuts) => useUi.setState({ shortcuts })}>
      <Dialog.Portal>
        <Dialog.Overlay className="overlay" />
        <Dialog.Content className="dialog" aria-describedby={undefined} data-testid="shortcuts">
          <header className="panel-header">
            <Dialog.Title asChild>
              <h2>{t('keys.title')}</h2>
            </Dialog.Title>
            <Dialog.Close asChild>
              <button type="button" className="icon-button" aria-label={t('common.close')}>
                <X size={16} />
              </button>
            </Dialog.Close>
          </header>
          <div className="shortcut-columns">
            {sections().map((section) => (
              <section key={section.key}>
                <h3>{t(section.key)}</h3>
                {section.rows.map(([key, ...keys]) => (
                  <div className="shortcut" key={key}>
                    <span>{t(key)}</span>
                    <span>
                      {keys.map((each) => (
                        <kbd key={each}>{each}</kbd>
                      ))}
                    </span>
                  </div>
                ))}
              </section>
            ))}
          </div>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
