// Dark, light, or as the system has it.

import { Monitor, Moon, Sun } from 'lucide-react';
import { t } from '../i18n/index.ts';
import { type Theme, useSettings } from '../state/settings.ts';
import { Dropdown } from '../ui/Menu.tsx';

const THEMES: readonly { theme: Theme; key: string; Icon: typeof Sun }[] = [
  { theme: 'system', key: 'top.themeSystem', Icon: Monitor },
  { theme: 'light', key: 'top.themeLight', Icon: Sun },
  { theme: 'dark', key: 'top.themeDark', Icon: Moon },
];

export function ThemeToggle() {
  const theme = useSettings((state) => state.theme);
  const Icon = THEMES.find((each) => each.theme === theme)?.Icon ?? Monitor;
  return (
    <Dropdown
      align="end"
      trigger={
        <button
          type="button"
          className="icon-button"
          aria-label={t('top.theme')}
          title={t('top.theme')}
          data-testid="theme-toggle"
        >
          <Icon size={18} />
        </button>
      }
      entries={THEMES.map((each) => ({
        label: t(each.key),
        icon: <each.Icon size={14} />,
        checked: each.theme === theme,
        testId: `theme-${each.theme}`,
        onSelect: () => useSettings.setState({ theme: each.theme }),
      }))}
    />
  );
}
