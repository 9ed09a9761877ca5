// A newly opened document is brought into view, at no more than its natural size; and as long as nobody has moved the
// view since, it is fitted again when a panel opens or the window changes.

import { type FitViewOptions, useNodesInitialized, useReactFlow, useStore } from '@xyflow/react';
import { useCallback, useEffect, useRef } from 'react';
import { useGraph } from '../state/graph.ts';

/** Room below for the tools and the minimap. */
export const FIT: FitViewOptions = {
  padding: { top: '24px', left: '24px', right: '24px', bottom: '72px' },
  maxZoom: 1,
};

/** Returns what tells that a person moved the view. */
export function useFitOnLoad(): (event: unknown) => void {
  const flow = useReactFlow();
  const epoch = useGraph((state) => state.epoch);
  const ready = useNodesInitialized();
  const width = useStore((state) => state.width);
  const height = useStore((state) => state.height);
  const fitted = useRef({ epoch: 0, size: '', moved: false });

  useEffect(() => {
    if (!ready || width === 0) return;
    const size = `${width}x${height}`;
    const last = fitted.current;
    const opened = last.epoch !== epoch;
    if (!opened && (last.moved || last.size === size)) return;
    fitted.current = { epoch, size, moved: false };
    void flow
      .fitView({ ...FIT, duration: opened ? 0 : 150 })
      .then(() => useGraph.setState({ settling: false }));
  }, [ready, epoch, width, height, flow]);

  // Moves that the program makes come without an event.
  return useCallback((event) => {
    if (event) fitted.current.moved = true;
  }, []);
}
