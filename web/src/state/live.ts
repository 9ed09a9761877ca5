// Joins the event stream to the stores. Events are gathered for a frame and folded in order of their numbers, so that
// a replay that overlaps live events, or a storm of them, costs one redraw.

import { getJob, getSystem, listJobs } from '../api/client.ts';
import { EventStream, eventsUrl, type ServerEvent } from '../api/events.ts';
import { applyEvents, isFinished, type JobEvent, runOf, startRun } from '../core/run.ts';
import { t } from '../i18n/index.ts';
import { loadCatalogue } from './catalogue.ts';
import { useGraph } from './graph.ts';
import { setPreview, setProblems, useJobs } from './jobs.ts';
import { toast } from './ui.ts';

const FRAME_MS = 16;
const REFRESH_MS = 150;
/** Events kept for jobs that are not followed (yet): those of a job may arrive before the answer to its POST. */
const KEPT_JOBS = 16;
const PAGE = 40;

let stream: EventStream | null = null;
let frame: ReturnType<typeof setTimeout> | undefined;
let refresh: ReturnType<typeof setTimeout> | undefined;
let arrived: JobEvent[] = [];
let log: JobEvent[] = [];
const unfollowed = new Map<string, JobEvent[]>();
const mine = new Set<string>();

export function connectLive(): () => void {
  stream = new EventStream(eventsUrl(window.location), {
    onOpen: () => useJobs.setState({ connection: 'live' }),
    onLost: () => useJobs.setState({ connection: 'lost' }),
    onEvent: receive,
    onPreview: (preview) => {
      if (preview.job === useJobs.getState().run?.job) setPreview(preview.node, preview.jpeg);
    },
  });
  return () => stream?.close();
}

function receive(event: ServerEvent): void {
  switch (event.type) {
    case 'hello': {
      useJobs.setState({ engine: event.engine, queue: event.queue });
      const { run } = useJobs.getState();
      if (run && !isFinished(run.state)) stream?.subscribe(run.job, run.seq);
      void loadCatalogue();
      void loadSystem();
      scheduleRefresh();
      break;
    }
    case 'engine':
      useJobs.setState({ engine: event.state });
      if (event.state === 'ready') {
        void loadCatalogue();
        void loadSystem();
      }
      break;
    case 'queue':
      useJobs.setState({ queue: { running: event.running, queued: event.queued } });
      scheduleRefresh();
      break;
    default:
      if ('job' in event && event.job) receiveJob(event);
  }
}

async function loadSystem(): Promise<void> {
  useJobs.setState({ system: await getSystem() });
}

function receiveJob(event: JobEvent): void {
  const { run } = useJobs.getState();
  if (
    event.type === 'job_started' &&
    mine.has(event.job) &&
    run &&
    run.job !== event.job &&
    isFinished(run.state)
  )
    follow(event.job);
  if (event.job === useJobs.getState().run?.job) arrived.push(event);
  else keep(event);
  if (event.type === 'job_done' || event.type === 'job_failed' || event.type === 'job_cancelled')
    scheduleRefresh();
  scheduleFlush();
}

function keep(event: JobEvent): void {
  const events = unfollowed.get(event.job) ?? [];
  unfollowed.delete(event.job);
  unfollowed.set(event.job, [...events, event]);
  for (const job of unfollowed.keys()) {
    if (unfollowed.size <= KEPT_JOBS) break;
    unfollowed.delete(job);
  }
}

function scheduleFlush(): void {
  if (frame === undefined) frame = setTimeout(flush, FRAME_MS);
}

function flush(): void {
  frame = undefined;
  const { run } = useJobs.getState();
  const events = arrived;
  arrived = [];
  if (!run || events.length === 0) return;
  const first = Math.min(...events.map((event) => event.seq));
  log.push(...events);
  log.sort((a, b) => a.seq - b.seq);
  const next = first > run.seq ? applyEvents(run, log) : applyEvents(startRun(run.job), log);
  if (next === run) return;
  useJobs.setState({ run: next });
  if (isFinished(next.state) && !isFinished(run.state)) ended(next.state);
}

function ended(state: string): void {
  const { run, runEpoch } = useJobs.getState();
  if (state !== 'failed' || !run?.error) return;
  const { error } = run;
  const problem = {
    code: error.code,
    message: error.message,
    node: error.node,
    class_type: error.class_type,
    input: error.input,
    severity: 'error' as const,
  };
  if (runEpoch === useGraph.getState().epoch) setProblems([problem]);
  toast('error', t('run.failed'), error.message);
}

/** Shows this job on the canvas from its first event on. */
export function follow(job: string): void {
  mine.add(job);
  log = [];
  arrived = unfollowed.get(job) ?? [];
  unfollowed.delete(job);
  useJobs.setState({ run: startRun(job), runEpoch: useGraph.getState().epoch, previews: {} });
  scheduleFlush();
}

/** A job of this page that waits behind the followed one. */
export function expect(job: string): void {
  mine.add(job);
}

/** After a reload: the job that was followed before, its results if it ended, its progress if it still runs. */
export async function resume(id: string): Promise<void> {
  const job = await getJob(id);
  if (isFinished(job.state)) {
    useJobs.setState({ run: runOf(job), runEpoch: useGraph.getState().epoch });
    return;
  }
  follow(id);
  stream?.subscribe(id, 0);
}

function scheduleRefresh(): void {
  clearTimeout(refresh);
  refresh = setTimeout(() => void refreshJobs(), REFRESH_MS);
}

/** Fetches the newest jobs and keeps the older ones that were paged in already. */
async function refreshJobs(): Promise<void> {
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
