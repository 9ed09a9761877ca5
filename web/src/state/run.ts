// Run and Cancel: posts the document, follows its job, and shows what the server refuses where it belongs.

import { ApiError, cancelJob, checkDocument, submitJob } from '../api/client.ts';
import { writeDocument } from '../core/format.ts';
import type { JsonObject } from '../core/json.ts';
import { isFinished } from '../core/run.ts';
import { advanceSeeds } from '../core/seed.ts';
import { t } from '../i18n/index.ts';
import { catalogueNow } from './catalogue.ts';
import { expectJob, follow } from './follow.ts';
import { useGraph } from './graph.ts';
import { setProblems, useJobs } from './jobs.ts';
import { useSettings } from './settings.ts';
import { toast, useUi } from './ui.ts';

const RECHECK_MS = 500;

function documentToRun(): JsonObject {
  const { doc, name } = useGraph.getState();
  return writeDocument({ ...doc, extra: name ? { ...doc.extra, title: name } : doc.extra });
}

export async function runWorkflow(): Promise<void> {
  if (useJobs.getState().submitting) return;
  if (Object.keys(useGraph.getState().doc.nodes).length === 0) {
    toast('info', t('run.empty'));
    return;
  }
  useJobs.setState({ submitting: true });
  try {
    for (let each = 0; each < useSettings.getState().batch; each += 1) await submitOne();
  } catch (error) {
    refused(error);
  } finally {
    useJobs.setState({ submitting: false });
  }
}

async function submitOne(): Promise<void> {
  const { id, warnings } = await submitJob(documentToRun());
  const { run, runEpoch } = useJobs.getState();
  const busy = run && !isFinished(run.state) && runEpoch === useGraph.getState().epoch;
  if (busy) expectJob(id);
  else follow(id);
  setProblems(warnings);
  useGraph.getState().amend((doc) => advanceSeeds(doc, catalogueNow(), Math.random));
}

function refused(error: unknown): void {
  if (!(error instanceof ApiError)) throw error;
  setProblems(error.problems);
  const serious = error.problems.filter((problem) => problem.severity === 'error');
  if (serious.length > 0) useUi.setState({ problemsOpen: true });
  else toast('error', t('run.refused'), error.message);
}

/** Cancels the followed job, or, when it has ended, whichever job is running. */
export async function cancelRun(): Promise<void> {
  const { run, queue } = useJobs.getState();
  const id = run && !isFinished(run.state) ? run.job : queue.running[0];
  if (id) await cancelById(id);
}

export async function cancelById(id: string): Promise<void> {
  try {
    await cancelJob(id);
  } catch (error) {
    // It ended while the request was on its way: what was wanted holds already.
    if (error instanceof ApiError && error.status === 409) return;
    if (!(error instanceof ApiError)) throw error;
    toast('error', t('run.cancelFailed'), error.message);
  }
}

/** While problems are shown, each edit asks the server again, so that they go away as they are mended. */
export function startRechecking(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let request: AbortController | null = null;
  return useGraph.subscribe((state, before) => {
    if (state.doc === before.doc || useJobs.getState().problems.length === 0) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      request?.abort();
      const current = new AbortController();
      request = current;
      checkDocument(documentToRun(), current.signal)
        .then(setProblems)
        .catch((error: unknown) => {
          if (!current.signal.aborted) refused(error);
        });
    }, RECHECK_MS);
  });
}
