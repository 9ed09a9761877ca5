// Entry point: styles, the page, and its start.

import '@fontsource-variable/inter';
import '@xyflow/react/dist/base.css';
import './styles/tokens.css';
import './styles/base.css';
import './styles/chrome.css';
import './styles/panels.css';
import './styles/canvas.css';
import './styles/card.css';
import './styles/card-parts.css';
import './styles/notes.css';
import './styles/widgets.css';
import './styles/floating.css';
import './styles/dialogs.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App.tsx';
import { t } from './i18n/index.ts';
import { start } from './start.ts';
import { report, reportUnhandled } from './state/report.ts';
import { CrashGuard } from './ui/CrashGuard.tsx';

const root = document.getElementById('root');
if (root)
  createRoot(root).render(
    <StrictMode>
      <CrashGuard>
        <App />
      </CrashGuard>
    </StrictMode>,
  );

reportUnhandled(window);
report(start(), t('failure.start'));
