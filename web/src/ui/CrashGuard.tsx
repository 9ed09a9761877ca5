// If drawing the page fails, say so and offer a reload: the work is saved already.

import { Component, type ReactNode } from 'react';
import { t } from '../i18n/index.ts';

export class CrashGuard extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <div className="crash" role="alert">
        <h1>{t('crash.title')}</h1>
        <p>{t('crash.help')}</p>
        <pre>{error.message}</pre>
        <button type="button" className="button button-primary" onClick={() => window.location.reload()}>
          {t('crash.reload')}
        </button>
      </div>
    );
  }
}
