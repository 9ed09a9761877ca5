// Joins the event stream to the stores. Events are gathered for a frame and folded in order of their numbers, so that
// a replay that overlaps live events, or a storm of them, costs one redraw.

import type { Listener, ServerEvent } from '../api/events.ts';
import { applyEvents, isFinished, type JobEvent, type Run, startRun } from '../core/run.ts';
import { t } from '../i18n/index.ts';
import { loadCatalogue } from './catalogue.ts';
import { dropExpected, follow, nextJob, resume } from './follow.ts';
import { useGraph } from './graph.ts';
import { setPreview, setProblems, useJobs } from './jobs.ts';
import { refreshJobs } from './recent.ts';
import { report, tell } from './report.ts';
import { toast } from './ui.ts';

const FRAME_MS = 16;
const REFRESH_MS = 150;

/** What the live side needs of the event stream. */
export interface LiveStream {
  subscribe: (job: string, since: number) => void;
  close: () => void;
}

/** Connects, and keeps the stores up to date until it is closed. */
export function createLive(connect: (listener: Listener) => LiveStream): { close: () => void } {
  let frame: ReturnType<typeof setTimeout> | undefined;
  let refresh: ReturnType<typeof setTimeout> | undefined;
  /** Events of the followed job: those that wait to be folded, and all of them. */
  let arrived: JobEvent[] = [];
  let log: JobEvent[] = [];

  const stream = connect({
    onOpen: () => useJobs.setState((state) => ({ connection: 'live', connections: state.connections + 1 })),
    onLost: () => useJobs.setState({ connection: 'lost' }),
    onEvent: receive,
    onPreview: (preview) => {
      if (preview.job === useJobs.getState().run?.job) setPreview(preview.node, preview.jpeg);
    },
  });

  // Of a newly followed job everything is asked for: its first events may have come before anyone knew its name.
  const unsubscribe = useJobs.subscribe(({ run }, before) => {
    if (run && run.job !== before.run?.job && !isFinished(run.state)) listen(run.job);
  });

  /** A server that was started again numbers a job's events anew, so what is known of them is dropped. */
  function listen(job: string): void {
    log = [];
    arrived = [];
    stream.subscribe(job, 0);
  }

  function receive(event: ServerEvent): void {
    switch (event.type) {
      case 'hello':
        greet(event);
        break;
      case 'engine': {
        const was = useJobs.getState().engine?.state;
        const { state, device, precision, message } = event;
        useJobs.setState({ engine: { state, device, precision, message: message ?? null } });
        if (state === 'ready' && was !== 'ready') report(loadCatalogue());
        break;
      }
      case 'queue':
        useJobs.setState({ queue: { running: event.running, queued: event.queued } });
        followNext();
        scheduleRefresh();
        break;
      case 'error':
        tell(new Error(event.error.message));
        break;
      default:
        receiveJob(event);
    }
  }

  function greet({
    version,
    engine,
    device,
    precision,
    message,
    queue,
  }: ServerEvent & { type: 'hello' }): void {
    useJobs.setState({
      version,
      engine: { state: engine, device, precision, message: message ?? null },
      queue,
    });
    const { run } = useJobs.getState();
    if (run && !isFinished(run.state)) {
      listen(run.job);
      report(resume(run.job).then(followNext));
    } else followNext();
    report(loadCatalogue());
    scheduleRefresh();
  }

  function receiveJob(event: JobEvent): void {
    if (event.job === useJobs.getState().run?.job) {
      arrived.push(event);
      frame ??= setTimeout(flush, FRAME_MS);
    }
    if (event.type === 'job_cancelled') dropExpected(event.job);
    if (event.type === 'job_done' || event.type === 'job_failed' || event.type === 'job_cancelled')
      scheduleRefresh();
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
    const next = applyEvents(first > run.seq ? run : startRun(run.job), log);
    if (next === run) return;
    useJobs.setState({ run: next });
    if (!isFinished(next.state) || isFinished(run.state)) return;
    showFailure(next);
    followNext();
  }

  function followNext(): void {
    const job = nextJob();
    if (job === null) return;
    follow(job);
    // It may have ended by now, and its events may be gone.
    report(resume(job));
  }

  function scheduleRefresh(): void {
    clearTimeout(refresh);
    refresh = setTimeout(() => report(refreshJobs()), REFRESH_MS);
  }

  return {
    close: () => {
      clearTimeout(frame);
      clearTimeout(refresh);
      unsubscribe();
      stream.close();
    },
  };
}

function showFailure(run: Run): void {
  const { error } = run;
  if (run.state !== 'failed' || !error) return;
  const { code, message, node, class_type, input } = error;
  if (useJobs.getState().runEpoch === useGraph.getState().epoch)
    setProblems([{ code, message, node, class_type, input, severity: 'error' }]);
  toast('error', t('run.failed'), message);
}
