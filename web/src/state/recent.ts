// The list of jobs behind the queue and the gallery: its newest page, and older ones when they are asked for.

import { listJobs } from '../api/client.ts';
import { useJobs } from './jobs.ts';

const PAGE = 40;

/** Fetches the newest jobs and keeps the older ones that were paged in already. */
export async function refreshJobs(): Promise<void> {
  const { jobs, next } = await listJobs({ limit: PAGE });
  useJobs.setState((state) => {
    const fresh = new Set(jobs.map((job) => job.id));
    const older =
      state.loaded && jobs.length === PAGE
        ? state.recent.slice(PAGE).filter((job) => !fresh.has(job.id))
        : [];
    return { recent: [...jobs, ...older], nextPage: older.length > 0 ? state.nextPage : next, loaded: true };
  });
}

export async function loadMoreJobs(): Promise<void> {
  const { nextPage } = useJobs.getState();
  if (!nextPage) return;
  const { jobs, next } = await listJobs({ limit: PAGE, before: nextPage });
  useJobs.setState((state) => ({ recent: [...state.recent, ...jobs], nextPage: next }));
}
