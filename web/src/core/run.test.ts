// Holds what the canvas shows of a job as its events come in.

import { expect, test } from 'vitest';
import { applyEvents, type JobEvent, type OutputFile, progress, runOf, startRun } from './run.ts';

const file: OutputFile = {
  type: 'output',
  subfolder: '',
  filename: 'a.png',
  media: 'image/png',
  width: 8,
  height: 8,
  url: '/a.png',
  thumbnail_url: null,
};

const job = 'j';
const events: JobEvent[] = [
  { job, seq: 1, type: 'job_queued', position: 1 },
  { job, seq: 2, type: 'job_started', attempt: 1, nodes: 4, cached: 2 },
  { job, seq: 3, type: 'nodes_cached', nodes: ['1', '2'], outputs: {} },
  { job, seq: 4, type: 'node_started', node: '3' },
  { job, seq: 5, type: 'node_progress', node: '3', done: 5, total: 10 },
  { job, seq: 6, type: 'node_done', node: '3', seconds: 1.5, outputs: [], finished: 3 },
  { job, seq: 7, type: 'node_started', node: '4' },
  { job, seq: 8, type: 'node_done', node: '4', seconds: 0.1, outputs: [file], finished: 4 },
  { job, seq: 9, type: 'job_done', seconds: 2, outputs: { '4': [file] } },
];

test('a run goes from queued over running to done', () => {
  const half = applyEvents(startRun(job), events.slice(0, 5));
  expect(half.state).toBe('running');
  expect(half.nodes['1']?.phase).toBe('cached');
  expect(half.nodes['3']).toMatchObject({ phase: 'running', done: 5, total: 10 });
  expect(progress(half)).toBeCloseTo(2.5 / 4);
  const done = applyEvents(half, events.slice(5));
  expect(done.state).toBe('done');
  expect(done.nodes['4']).toMatchObject({ phase: 'done', outputs: [file] });
  expect(done.nodes['3']?.seconds).toBe(1.5);
  expect(progress(done)).toBe(1);
});

test('events that come again, or belong to another job, change nothing', () => {
  const run = applyEvents(startRun(job), events);
  expect(applyEvents(run, events)).toBe(run);
  expect(applyEvents(run, [{ job: 'other', seq: 99, type: 'job_cancelled' }])).toBe(run);
});

test('a second attempt starts from nothing', () => {
  const run = applyEvents(startRun(job), events.slice(0, 6));
  const again = applyEvents(run, [{ job, seq: 7, type: 'job_started', attempt: 2, nodes: 4, cached: 0 }]);
  expect(again.nodes).toEqual({});
  expect(progress(again)).toBe(0);
});

test('a failure marks its node, and no node is left running', () => {
  const error = { code: 'x', message: 'broke', node: '3', class_type: 'K', input: null, detail: null };
  const run = applyEvents(startRun(job), [
    ...events.slice(0, 5),
    { job, seq: 6, type: 'job_failed', error, outputs: {} },
  ]);
  expect(run.state).toBe('failed');
  expect(run.error).toEqual(error);
  expect(run.nodes['3']?.phase).toBe('failed');
});

test('a node keeps what it warned of until the next run', () => {
  const told = { job, type: 'node_warning' as const, node: '3' };
  const run = applyEvents(startRun(job), [
    ...events.slice(0, 3),
    { ...told, seq: 4, message: 'Half of it fits.' },
    { ...told, seq: 5, message: 'The rest is left out.' },
    { job, seq: 6, type: 'node_done', node: '3', seconds: 1, outputs: [], finished: 3 },
  ]);
  expect(run.nodes['3']?.warnings).toEqual(['Half of it fits.', 'The rest is left out.']);
  expect(run.nodes['4']?.warnings ?? []).toEqual([]);
});

test('a cancelled run leaves no node running', () => {
  const run = applyEvents(startRun(job), [...events.slice(0, 5), { job, seq: 6, type: 'job_cancelled' }]);
  expect(run.state).toBe('cancelled');
  expect(run.nodes['3']?.phase).toBe('idle');
});

test('a finished job from the REST API shows its pictures', () => {
  const run = runOf({ id: job, state: 'done', outputs: { '4': [file] }, error: null });
  expect(run.nodes['4']?.outputs).toEqual([file]);
  expect(progress(run)).toBe(1);
});
