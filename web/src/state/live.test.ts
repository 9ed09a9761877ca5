// Holds that what the canvas shows of a job does not depend on the order in which answers and events arrive.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiError, getJob, type Job } from '../api/client.ts';
import type { Listener, ServerEvent } from '../api/events.ts';
import type { JobEvent } from '../core/run.ts';
import { expectJob, follow, resume } from './follow.ts';
import { forgetRun, useJobs } from './jobs.ts';
import { createLive } from './live.ts';
import { useUi } from './ui.ts';

const job = (fields: Partial<Job>): Job => ({
  id: 'j',
  state: 'running',
  created_at: 1,
  started_at: 1,
  finished_at: null,
  attempt: 1,
  position: null,
  error: null,
  outputs: {},
  title: null,
  ...fields,
});

vi.mock('../api/client.ts', async (original) => ({
  ...(await original<typeof import('../api/client.ts')>()),
  getJob: vi.fn(),
  getNodes: vi.fn(async () => ({ specs: [], packs: [] })),
  listJobs: vi.fn(async () => ({ jobs: [job({ id: 'j' })], next: null })),
}));

const subscribe = vi.fn<(job: string, since: number) => void>();
const close = vi.fn();

const begun = (id: string): JobEvent[] => [
  { job: id, seq: 1, type: 'job_started', attempt: 1, nodes: 2, cached: 0 },
  { job: id, seq: 2, type: 'node_started', node: '1' },
  { job: id, seq: 3, type: 'node_done', node: '1', seconds: 1, outputs: [], finished: 1 },
  { job: id, seq: 4, type: 'node_started', node: '2' },
];
const done = (id: string): JobEvent => ({ job: id, seq: 5, type: 'job_done', seconds: 1, outputs: {} });
const events = begun('j');

let listener: Listener;
let live: ReturnType<typeof createLive>;

const receive = (...sent: ServerEvent[]): void => {
  for (const event of sent) listener.onEvent(event);
};

const hello = (queue: { running: string[]; queued: string[] }): void =>
  receive({ type: 'hello', version: '1', engine: 'ready', device: 'cpu', precision: 'fp32', queue });

beforeEach(() => {
  vi.useFakeTimers();
  vi.clearAllMocks();
  vi.mocked(getJob).mockImplementation(async (id) => job({ id }));
  useJobs.setState(useJobs.getInitialState());
  useUi.setState(useUi.getInitialState());
  live = createLive((told) => {
    listener = told;
    return { subscribe, close };
  });
  listener.onOpen();
});

afterEach(() => {
  live.close();
  vi.useRealTimers();
});

const shown = () => {
  vi.advanceTimersByTime(50);
  return Object.entries(useJobs.getState().run?.nodes ?? {}).map(([id, node]) => `${id} ${node.phase}`);
};

test('a job is asked for from its first event, which may have come before the answer to the POST', () => {
  receive(...events.slice(0, 2));
  follow('j');
  expect(subscribe.mock.calls).toEqual([['j', 0]]);
  receive(...events);
  expect(shown()).toEqual(['1 done', '2 running']);
});

test('live events that overtake a replay are put in order', () => {
  follow('j');
  receive(...events.slice(3));
  expect(shown()).toEqual(['2 running']);
  receive(...events);
  expect(shown()).toEqual(['1 done', '2 running']);
});

test('after a lost connection it catches up with the running job', () => {
  follow('j');
  receive(...events.slice(0, 2));
  shown();
  hello({ running: ['j'], queued: [] });
  expect(subscribe.mock.calls).toEqual([
    ['j', 0],
    ['j', 0],
  ]);
  receive(...events);
  expect(shown()).toEqual(['1 done', '2 running']);
});

test('a server that was started again runs the job anew, and numbers its events anew', () => {
  follow('j');
  receive(...events);
  shown();
  hello({ running: ['j'], queued: [] });
  receive({ job: 'j', seq: 1, type: 'job_started', attempt: 2, nodes: 2, cached: 1 });
  receive({ job: 'j', seq: 2, type: 'nodes_cached', nodes: ['1'], outputs: {} });
  expect(shown()).toEqual(['1 cached']);
});

test('what is shown of an attempt that a crash ended goes, as soon as the job is known to begin again', async () => {
  follow('j');
  receive(...events);
  shown();
  vi.mocked(getJob).mockResolvedValue(job({ state: 'running', attempt: 2 }));
  hello({ running: ['j'], queued: [] });
  await vi.advanceTimersByTimeAsync(50);
  expect(useJobs.getState().run).toMatchObject({ job: 'j', state: 'queued', nodes: {} });
  receive({ job: 'j', seq: 1, type: 'job_started', attempt: 2, nodes: 2, cached: 0 });
  receive({ job: 'j', seq: 2, type: 'node_started', node: '1' });
  expect(shown()).toEqual(['1 running']);
});

test('a job that ended while the server was away is shown as ended', async () => {
  follow('j');
  receive(...events);
  shown();
  vi.mocked(getJob).mockResolvedValue(job({ state: 'done' }));
  hello({ running: [], queued: [] });
  await vi.advanceTimersByTimeAsync(50);
  expect(useJobs.getState().run?.state).toBe('done');
});

test('a job that the server does not know any more is forgotten', async () => {
  follow('j');
  vi.mocked(getJob).mockRejectedValue(new ApiError(404, 'unknown_job', 'There is no such job.'));
  hello({ running: [], queued: [] });
  await vi.advanceTimersByTimeAsync(50);
  expect(useJobs.getState().run).toBeNull();
  expect(useUi.getState().toasts).toEqual([]);
});

test('the next of several runs is followed when the first has ended, however soon it begins', () => {
  follow('j');
  expectJob('k');
  receive({ type: 'queue', running: ['j'], queued: ['k'] }, ...events, done('j'));
  receive({ type: 'queue', running: ['k'], queued: [] }, ...begun('k'));
  shown();
  expect(subscribe).toHaveBeenLastCalledWith('k', 0);
  receive(...begun('k'));
  expect(shown()).toEqual(['1 done', '2 running']);
  expect(useJobs.getState()).toMatchObject({ run: { job: 'k' }, expected: [] });
});

test('a run that still waits does not take the place of the last picture', () => {
  follow('j');
  expectJob('k');
  receive({ type: 'queue', running: ['theirs'], queued: ['k'] }, ...events, done('j'));
  shown();
  expect(useJobs.getState().run?.job).toBe('j');
});

test('a run that was cancelled while it waited is not waited for', () => {
  follow('j');
  expectJob('k');
  receive({ type: 'queue', running: ['j'], queued: ['k'] });
  receive({ job: 'k', seq: 2, type: 'job_cancelled' }, { type: 'queue', running: ['j'], queued: [] });
  receive(...events, done('j'));
  shown();
  expect(useJobs.getState()).toMatchObject({ run: { job: 'j' }, expected: [] });
});

test('runs of a workflow that is no longer open are not followed', () => {
  follow('j');
  expectJob('k');
  forgetRun();
  follow('other');
  receive(...begun('other'), done('other'), { type: 'queue', running: ['k'], queued: [] });
  shown();
  expect(useJobs.getState().run?.job).toBe('other');
});

test('a job of somebody else is not shown on this canvas', () => {
  follow('j');
  receive(...begun('theirs'));
  expect(shown()).toEqual([]);
});

test('a reload shows an ended job at once and asks for the events of a running one', async () => {
  vi.mocked(getJob).mockImplementation(async (id) => job({ id, state: id === 'old' ? 'done' : 'running' }));
  await resume('old');
  expect(useJobs.getState().run?.state).toBe('done');
  forgetRun();
  await resume('j');
  expect(subscribe.mock.calls).toEqual([['j', 0]]);
});

test('why the engine cannot start is kept until its state changes', () => {
  receive({ type: 'engine', state: 'failed', device: null, precision: null, message: 'No such device.' });
  expect(useJobs.getState().engine).toMatchObject({ state: 'failed', message: 'No such device.' });
  receive({ type: 'engine', state: 'ready', device: 'cpu', precision: 'fp32' });
  expect(useJobs.getState().engine).toMatchObject({ state: 'ready', device: 'cpu', message: null });
});

test('once it is closed nothing is asked for any more', () => {
  live.close();
  follow('j');
  expect(subscribe).not.toHaveBeenCalled();
  expect(close).toHaveBeenCalledOnce();
});
