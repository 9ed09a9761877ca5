// Holds that what the canvas shows of a job does not depend on the order in which answers and events arrive.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Job } from '../api/client.ts';
import type { JobEvent } from '../core/run.ts';

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
  getJob: vi.fn(async (id: string) => job({ id, state: id === 'old' ? 'done' : 'running' })),
  getSystem: vi.fn(async () => ({ version: '1', device: 'cpu', precision: 'fp32', engine: 'ready' })),
  getNodes: vi.fn(async () => ({ specs: [], packs: [] })),
  listJobs: vi.fn(async () => ({ jobs: [job({ id: 'j' })], next: null })),
}));

class FakeSocket {
  static readonly OPEN = 1;
  static last: FakeSocket | null = null;
  readyState = 1;
  sent: string[] = [];
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((message: { data: unknown }) => void) | null = null;

  constructor() {
    FakeSocket.last = this;
  }

  send(text: string): void {
    this.sent.push(text);
  }

  close(): void {}
}

const socket = (): FakeSocket => {
  if (!FakeSocket.last) throw new Error('not connected');
  return FakeSocket.last;
};
const receive = (event: object): void => socket().onmessage?.({ data: JSON.stringify(event) });

const events: JobEvent[] = [
  { job: 'j', seq: 1, type: 'job_started', attempt: 1, nodes: 2, cached: 0 },
  { job: 'j', seq: 2, type: 'node_started', node: '1' },
  { job: 'j', seq: 3, type: 'node_done', node: '1', seconds: 1, outputs: [], finished: 1 },
  { job: 'j', seq: 4, type: 'node_started', node: '2' },
];

let live: typeof import('./live.ts');
let jobs: typeof import('./jobs.ts').useJobs;

beforeEach(async () => {
  vi.useFakeTimers();
  vi.stubGlobal('WebSocket', FakeSocket);
  vi.stubGlobal('window', { location: { protocol: 'http:', host: 'x' } });
  vi.resetModules();
  live = await import('./live.ts');
  jobs = (await import('./jobs.ts')).useJobs;
  live.connectLive();
  socket().onopen?.();
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const shown = () => {
  vi.advanceTimersByTime(50);
  return Object.entries(jobs.getState().run?.nodes ?? {}).map(([id, node]) => `${id} ${node.phase}`);
};

test('events that come before the answer to the POST are not lost', () => {
  for (const event of events.slice(0, 3)) receive(event);
  live.follow('j');
  for (const event of events.slice(3)) receive(event);
  expect(shown()).toEqual(['1 done', '2 running']);
});

test('live events that overtake a replay are put in order', () => {
  live.follow('j');
  receive(events[3] ?? {});
  expect(shown()).toEqual(['2 running']);
  for (const event of events) receive(event);
  expect(shown()).toEqual(['1 done', '2 running']);
});

test('after a reconnection it asks for what it missed of the running job', () => {
  live.follow('j');
  for (const event of events.slice(0, 2)) receive(event);
  shown();
  receive({ type: 'hello', version: '1', engine: 'ready', queue: { running: ['j'], queued: [] } });
  expect(socket().sent.map((text) => JSON.parse(text))).toEqual([{ type: 'subscribe', job: 'j', since: 2 }]);
});

test('the next of several runs is followed when the first has ended', () => {
  live.follow('j');
  live.expect('k');
  for (const event of events) receive(event);
  receive({ job: 'j', seq: 5, type: 'job_done', seconds: 1, outputs: {} });
  shown();
  receive({ job: 'k', seq: 1, type: 'job_started', attempt: 1, nodes: 2, cached: 0 });
  receive({ job: 'k', seq: 2, type: 'node_started', node: '2' });
  expect(shown()).toEqual(['2 running']);
  expect(jobs.getState().run?.job).toBe('k');
});

test('a job of somebody else is not shown on this canvas', () => {
  live.follow('j');
  for (const event of events) receive({ ...event, job: 'theirs' });
  expect(shown()).toEqual([]);
});

test('a reload shows an ended job at once and asks for the events of a running one', async () => {
  await live.resume('old');
  expect(jobs.getState().run?.state).toBe('done');
  await live.resume('j');
  expect(JSON.parse(socket().sent.at(-1) ?? '')).toEqual({ type: 'subscribe', job: 'j', since: 0 });
});
