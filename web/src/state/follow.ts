// Which job the canvas shows: the one that was posted last, then those of this page that waited behind it.

import { ApiError, getJob } from '../api/client.ts';
import { isFinished, runOf, startRun } from '../core/run.ts';
import { forgetRun, showRun, useJobs } from './jobs.ts';

/** Shows this job on the canvas from its first event on. */
export function follow(job: string): void {
  dropExpected(job);
  showRun(startRun(job));
}

/** A job of this page that waits behind the followed one. */
export function expectJob(job: string): void {
  useJobs.setState((state) => ({ expected: [...state.expected, job] }));
}

/** A job that is followed now, or that was cancelled, is not waited for any longer. */
export function dropExpected(job: string): void {
  useJobs.setState((state) =>
    state.expected.includes(job) ? { expected: state.expected.filter((each) => each !== job) } : state,
  );
}

/** The job of this page whose turn it is after the followed one; null while that runs, or when none has begun. */
export function nextJob(): string | null {
  const { run, expected, queue } = useJobs.getState();
  if (!run || !isFinished(run.state)) return null;
  return expected.find((job) => !queue.queued.includes(job)) ?? null;
}

/**
 * Shows a job of which events may have been missed (after a reload, a lost connection or a restart of the server): its
 * results if it ended, its progress if it still runs.
 */
export async function resume(id: string): Promise<void> {
  const job = await getJob(id).catch((error: unknown) => {
    // The job may belong to another server's data folder: then there is nothing to show for it.
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  });
  const { run } = useJobs.getState();
  if (run && run.job !== id) return;
  if (job === null) forgetRun();
  else if (run && isFinished(run.state)) return;
  else if (isFinished(job.state)) showRun(runOf(job));
  // What is shown of an attempt that a crash of the server ended is no longer so.
  else if (!run || (run.attempt > 0 && (job.state === 'queued' || job.attempt > run.attempt))) follow(id);
}
