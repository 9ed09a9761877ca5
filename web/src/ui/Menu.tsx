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

export type MenuEntry = MenuItem | 'separator';

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

const itemProps = (item: MenuItem) => ({
  className: item.danger ? 'menu-item is-danger' : 'menu-item',
  disabled: item.disabled ?? false,
  onSelect: item.onSelect,
  'data-testid': item.testId,
});

export function DropdownItems({ entries }: { entries: readonly MenuEntry[] }) {
  return entries.map((entry, index) =>
    entry === 'separator' ? (
      <DropdownMenu.Separator key={keyOf(entry, index)} className="menu-line" />
    ) : (
      <DropdownMenu.Item key={keyOf(entry, index)} {...itemProps(entry)}>
        <ItemBody item={entry} />
      </DropdownMenu.Item>
    ),
  );
}

export function ContextItems({ entries }: { entries: readonly MenuEntry[] }) {
  return entries.map((entry, index) =>
    entry === 'separator' ? (
      <ContextMenu.Separator key={keyOf(entry, index)} className="menu-line" />
    ) : (
      <ContextMenu.Item key={keyOf(entry, index)} {...itemProps(entry)}>
        <ItemBody item={entry} />
      </ContextMenu.Item>
    ),
  );
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
          <DropdownItems entries={entries} />
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
