// Follows one job: folds the server's events into what the canvas shows on each node and overall.

export interface OutputFile {
  type: 'output' | 'temp' | 'input';
  subfolder: string;
  filename: string;
  media: string;
  width: number | null;
  height: number | null;
  url: string;
  thumbnail_url: string | null;
}

export interface JobError {
  code: string;
  message: string;
  node: string | null;
  class_type: string | null;
  input: string | null;
  detail: string | null;
}

export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

export type JobEvent = { job: string; seq: number } & (
  | { type: 'job_queued'; position: number }
  | { type: 'job_started'; attempt: number; nodes: number; cached: number }
  | { type: 'nodes_cached'; nodes: string[]; outputs: Record<string, OutputFile[]> }
  | { type: 'node_started'; node: string }
  | { type: 'node_progress'; node: string; done: number; total: number }
  | { type: 'node_warning'; node: string; message: string }
  | { type: 'node_done'; node: string; seconds: number; outputs: OutputFile[]; finished: number }
  | ({ type: 'node_failed'; node: string } & Omit<JobError, 'node'>)
  | { type: 'job_done'; seconds: number; outputs: Record<string, OutputFile[]> }
  | { type: 'job_failed'; error: JobError; outputs: Record<string, OutputFile[]> }
  | { type: 'job_cancelled' }
);

export type NodePhase = 'idle' | 'running' | 'done' | 'cached' | 'failed';

export interface NodeRun {
  readonly phase: NodePhase;
  readonly done: number;
  readonly total: number;
  readonly seconds: number | null;
  readonly outputs: readonly OutputFile[];
  /** What did not stop the node, and the person should know. */
  readonly warnings: readonly string[];
}

export interface Run {
  readonly job: string;
  readonly state: JobState;
  /** Counts how often the server began it: again after a crash. 0 before the first. */
  readonly attempt: number;
  readonly position: number;
  readonly seq: number;
  readonly total: number;
  readonly finished: number;
  readonly nodes: Readonly<Record<string, NodeRun>>;
  readonly error: JobError | null;
  readonly seconds: number | null;
}

const IDLE: NodeRun = { phase: 'idle', done: 0, total: 0, seconds: null, outputs: [], warnings: [] };

export const startRun = (job: string): Run => ({
  job,
  state: 'queued',
  attempt: 0,
  position: 0,
  seq: 0,
  total: 0,
  finished: 0,
  nodes: {},
  error: null,
  seconds: null,
});

/** A finished job as the REST API tells of it, without its events. */
export function runOf(job: {
  id: string;
  state: JobState;
  outputs: Readonly<Record<string, readonly OutputFile[]>>;
  error: JobError | null;
}): Run {
  const nodes: Record<string, NodeRun> = {};
  for (const [id, outputs] of Object.entries(job.outputs)) nodes[id] = { ...IDLE, outputs };
  return { ...startRun(job.id), state: job.state, nodes, error: job.error };
}

export const isFinished = (state: JobState): boolean => state !== 'queued' && state !== 'running';

type Draft = { -readonly [K in keyof Run]: Run[K] } & { nodes: Record<string, NodeRun> };

/**
 * Folds events into the run, in the order given. Events that were seen already (a replay overlaps), or that belong to
 * another job, change nothing.
 */
export function applyEvents(run: Run, events: readonly JobEvent[]): Run {
  const draft: Draft = { ...run, nodes: { ...run.nodes } };
  let changed = false;
  for (const event of events) {
    if (event.job !== run.job || event.seq <= draft.seq) continue;
    draft.seq = event.seq;
    fold(draft, event);
    changed = true;
  }
  return changed ? draft : run;
}

function mark(draft: Draft, id: string, change: Partial<NodeRun>): void {
  draft.nodes[id] = { ...(draft.nodes[id] ?? IDLE), ...change };
}

function show(draft: Draft, outputs: Readonly<Record<string, readonly OutputFile[]>>): void {
  for (const [id, files] of Object.entries(outputs)) mark(draft, id, { outputs: files });
}

/** Nodes that were still running when the job ended are no longer. */
function end(draft: Draft, state: JobState): void {
  draft.state = state;
  for (const [id, node] of Object.entries(draft.nodes))
    if (node.phase === 'running') mark(draft, id, { phase: 'idle' });
}

function fold(draft: Draft, event: JobEvent): void {
  switch (event.type) {
    case 'job_queued':
      draft.state = 'queued';
      draft.position = event.position;
      break;
    case 'job_started':
      draft.attempt = event.attempt;
      Object.assign(draft, {
        state: 'running',
        total: event.nodes,
        finished: event.cached,
        nodes: {},
        error: null,
      });
      break;
    case 'nodes_cached':
      for (const id of event.nodes) mark(draft, id, { phase: 'cached' });
      show(draft, event.outputs);
      break;
    case 'node_started':
      mark(draft, event.node, { phase: 'running', done: 0, total: 0 });
      break;
    case 'node_progress':
      mark(draft, event.node, { phase: 'running', done: event.done, total: event.total });
      break;
    case 'node_warning':
      mark(draft, event.node, { warnings: [...(draft.nodes[event.node]?.warnings ?? []), event.message] });
      break;
    case 'node_done':
      draft.finished = event.finished;
      mark(draft, event.node, { phase: 'done', seconds: event.seconds, outputs: event.outputs });
      break;
    case 'node_failed':
      mark(draft, event.node, { phase: 'failed' });
      break;
    case 'job_done':
      end(draft, 'done');
      draft.seconds = event.seconds;
      show(draft, event.outputs);
      break;
    case 'job_failed':
      end(draft, 'failed');
      draft.error = event.error;
      if (event.error.node) mark(draft, event.error.node, { phase: 'failed' });
      break;
    case 'job_cancelled':
      end(draft, 'cancelled');
      break;
  }
}

/** How far the job is, 0 to 1, counting the steps of the node that is running. */
export function progress(run: Run): number {
  if (run.state === 'done') return 1;
  if (run.total === 0) return 0;
  let part = 0;
  for (const node of Object.values(run.nodes))
    if (node.phase === 'running' && node.total > 0) part += node.done / node.total;
  return Math.min(1, (run.finished + part) / run.total);
}
