// Menu items shared by drop-down and context menus, so that both look and behave the same.

import { ContextMenu, DropdownMenu } from 'radix-ui';
import type { ReactNode } from 'react';

export interface MenuItem {
  label: string;
  icon?: ReactNode;
  keys?: string;
  danger?: boolean;
  disabled?: boolean;
  checked?: boolean;
  testId?: string;
  onSelect: () => void;
}

/** A row of colours to choose from; null stands for none. */
export interface MenuColours {
  label: string;
  colours: readonly { name: string; value: string | null }[];
  chosen: string | null;
  onSelect: (value: string | null) => void;
}

export type MenuEntry = MenuItem | MenuColours | 'separator';

const isColours = (entry: MenuItem | MenuColours): entry is MenuColours => 'colours' in entry;

function ItemBody({ item }: { item: MenuItem }) {
  return (
    <>
      <span className="menu-icon">{item.checked ? <span className="menu-dot" /> : item.icon}</span>
      <span className="menu-label">{item.label}</span>
      {item.keys && <kbd>{item.keys}</kbd>}
    </>
  );
}

const keyOf = (entry: MenuEntry, index: number): string =>
  entry === 'separator' ? `line-${index}` : entry.label;

const NONE = 'none';

/** The entries, made of the parts of a drop-down or of a context menu. */
function Items({ kind, entries }: { kind: 'context' | 'dropdown'; entries: readonly MenuEntry[] }) {
  const { Separator, Item, RadioGroup, RadioItem } = kind === 'context' ? ContextMenu : DropdownMenu;
  return entries.map((entry, index) => {
    const key = keyOf(entry, index);
    if (entry === 'separator') return <Separator key={key} className="menu-line" />;
    if (isColours(entry))
      return (
        <RadioGroup
          key={key}
          className="menu-colours"
          aria-label={entry.label}
          value={entry.chosen ?? NONE}
          onValueChange={(value) => entry.onSelect(value === NONE ? null : value)}
        >
          {entry.colours.map(({ name, value }) => (
            <RadioItem
              key={name}
              className={value ? 'menu-colour' : 'menu-colour is-none'}
              style={value ? { background: value } : undefined}
              value={value ?? NONE}
              aria-label={name}
              title={name}
            />
          ))}
        </RadioGroup>
      );
    return (
      <Item
        key={key}
        className={entry.danger ? 'menu-item is-danger' : 'menu-item'}
        disabled={entry.disabled ?? false}
        onSelect={entry.onSelect}
        data-testid={entry.testId}
      >
        <ItemBody item={entry} />
      </Item>
    );
  });
}

export function ContextItems({ entries }: { entries: readonly MenuEntry[] }) {
  return <Items kind="context" entries={entries} />;
}

interface DropdownProps {
  trigger: ReactNode;
  entries: readonly MenuEntry[];
  align?: 'start' | 'end';
}

export function Dropdown({ trigger, entries, align = 'start' }: DropdownProps) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align={align} sideOffset={6} collisionPadding={8}>
          <Items kind="dropdown" entries={entries} />
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
