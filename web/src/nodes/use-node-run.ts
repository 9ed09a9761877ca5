// What the followed job says of one node; nothing when the job belongs to another document.

import type { NodeRun } from '../core/run.ts';
import { useGraph } from '../state/graph.ts';
import { useJobs } from '../state/jobs.ts';

export function useNodeRun(id: string): NodeRun | undefined {
  const epoch = useGraph((state) => state.epoch);
  return useJobs((state) => (state.runEpoch === epoch ? state.run?.nodes[id] : undefined));
}
