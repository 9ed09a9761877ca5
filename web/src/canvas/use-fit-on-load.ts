// A newly opened document is brought into view, at no more than its natural size.

import { useNodesInitialized, useReactFlow } from '@xyflow/react';
import { useEffect, useRef } from 'react';
import { useGraph } from '../state/graph.ts';

export const FIT = { padding: 0.04, maxZoom: 1 } as const;

export function useFitOnLoad(): void {
  const flow = useReactFlow();
  const epoch = useGraph((state) => state.epoch);
  const ready = useNodesInitialized();
  const fitted = useRef(0);
  useEffect(() => {
    if (!ready || fitted.current === epoch) return;
    fitted.current = epoch;
    void flow.fitView(FIT);
  }, [ready, epoch, flow]);
}
