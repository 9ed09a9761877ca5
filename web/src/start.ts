// What happens when the page opens: connect, fetch the nodes, and show what was open last, or the first template.

import { ApiError } from './api/client.ts';
import { t } from './i18n/index.ts';
import { loadCatalogue } from './state/catalogue.ts';
import { DEFAULT_TEMPLATE, openTemplate } from './state/files.ts';
import { connectLive, resume } from './state/live.ts';
import { startRechecking } from './state/run.ts';
import { restoreSession, startAutosave } from './state/session.ts';
import { applyTheme } from './state/settings.ts';
import { toast } from './state/ui.ts';

/** How long the page waits for the nodes before it shows the workflow without their details, in milliseconds. */
const PATIENCE_MS = 2000;

export async function start(): Promise<void> {
  applyTheme();
  connectLive();
  startRechecking();
  await Promise.race([catalogue(), pause(PATIENCE_MS)]);
  const restored = restoreSession();
  if (!restored) await openTemplate(DEFAULT_TEMPLATE, t('start.textToImage'));
  startAutosave();
  if (restored?.job) await resumeJob(restored.job);
}

async function catalogue(): Promise<void> {
  try {
    await loadCatalogue();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast('error', t('status.failed'), error.message);
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function resumeJob(job: string): Promise<void> {
  try {
    await resume(job);
  } catch (error) {
    // The job may belong to another server's data folder: then there is nothing to show for it.
    if (!(error instanceof ApiError)) throw error;
  }
}
