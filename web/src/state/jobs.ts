// The live side of the page: connection, queue, the followed job with its previews, and what is wrong with it.

import { create } from 'zustand';
import type { Job } from '../api/client.ts';
import type { EngineState } from '../api/events.ts';
import { groupProblems, type NodeProblems, type Problem } from '../core/problems.ts';
import type { Run } from '../core/run.ts';
import { useGraph } from './graph.ts';

export interface Engine {
  state: EngineState;
  /** Known once a worker has looked at what it runs on. */
  device: string | null;
  precision: string | null;
  /** What is wrong with it. */
  message: string | null;
}

export interface JobsState {
  connection: 'connecting' | 'live' | 'lost';
  /** How often the connection was made. */
  connections: number;
  /** The server's. */
  version: string;
  engine: Engine | null;
  queue: { running: readonly string[]; queued: readonly string[] };
  /** The job whose progress the canvas shows. */
  run: Run | null;
  /** The document (by epoch) that the followed job belongs to. */
  runEpoch: number;
  /** Jobs of this page that are shown after the followed one, in their order. */
  expected: readonly string[];
  /** The latest preview of each sampling node, as an object URL. */
  previews: Readonly<Record<string, string>>;
  problems: readonly Problem[];
  byNode: Readonly<Record<string, NodeProblems>>;
  /** Finished and waiting jobs, newest first. */
  recent: readonly Job[];
  nextPage: string | null;
  loaded: boolean;
  /** A Run was pressed and its job is not yet accepted. */
  submitting: boolean;
}

export const useJobs = create<JobsState>()(() => ({
  connection: 'connecting',
  connections: 0,
  version: '',
  engine: null,
  queue: { running: [], queued: [] },
  run: null,
  runEpoch: 0,
  expected: [],
  previews: {},
  problems: [],
  byNode: {},
  recent: [],
  nextPage: null,
  loaded: false,
  submitting: false,
}));

export function setProblems(problems: readonly Problem[]): void {
  useJobs.setState({ problems, byNode: groupProblems(problems) });
}

export function setPreview(node: string, jpeg: Blob): void {
  useJobs.setState((state) => {
    const old = state.previews[node];
    // The picture on screen may still be decoding from the old URL: let it go a little later.
    if (old) setTimeout(() => URL.revokeObjectURL(old), 1000);
    return { previews: { ...state.previews, [node]: URL.createObjectURL(jpeg) } };
  });
}

/** Shows a job on the open document, in place of the one before. */
export function showRun(run: Run): void {
  dropPreviews();
  useJobs.setState({ run, runEpoch: useGraph.getState().epoch });
}

/** Shows no job: after another document was opened. */
export function forgetRun(): void {
  dropPreviews();
  useJobs.setState({ run: null, expected: [] });
  setProblems([]);
}

function dropPreviews(): void {
  for (const url of Object.values(useJobs.getState().previews)) URL.revokeObjectURL(url);
  useJobs.setState({ previews: {} });
}
