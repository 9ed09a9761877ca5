// What happens when the page opens: connect, fetch the nodes, and show what was open last, or the first template.

import { EventStream, eventsUrl } from './api/events.ts';
import { t } from './i18n/index.ts';
import { loadCatalogue } from './state/catalogue.ts';
import { DEFAULT_TEMPLATE, openTemplate } from './state/files.ts';
import { resume } from './state/follow.ts';
import { createLive } from './state/live.ts';
import { tell } from './state/report.ts';
import { startRechecking } from './state/run.ts';
import { restoreSession, startAutosave } from './state/session.ts';
import { applyTheme } from './state/settings.ts';

/** How long the page waits for the nodes before it shows the workflow without their details, in milliseconds. */
const PATIENCE_MS = 2000;

export async function start(): Promise<void> {
  applyTheme();
  createLive((listener) => new EventStream(eventsUrl(window.location), listener));
  startRechecking();
  await Promise.race([loadCatalogue().catch(tell), pause(PATIENCE_MS)]);
  const restored = restoreSession();
  if (!restored) await openTemplate(DEFAULT_TEMPLATE, t('start.textToImage'));
  startAutosave();
  if (restored?.job) await resume(restored.job);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
