// A newly opened document is brought into view, at no more than its natural size; and as long as nobody has moved the
// view since, it is fitted again when a panel opens or the window changes.

import {
  type FitViewOptions,
  type Rect,
  useNodesInitialized,
  useReactFlow,
  useStore,
  useStoreApi,
} from '@xyflow/react';
import { useCallback, useEffect, useRef } from 'react';
import { useGraph } from '../state/graph.ts';
import { report } from '../state/report.ts';

const MARGIN = 24;
/** The height of the tools in the corner, and of the minimap: cards keep clear of the first, and of both if they can. */
const TOOLS = 64;
const MINIMAP = 128;

/** How to bring `bounds` into a view of the given size: at natural size at most, above what lies in the corners. */
export function fitFor(bounds: Rect, width: number, height: number): FitViewOptions {
  const zoom = Math.min(1, (width - 2 * MARGIN) / Math.max(bounds.width, 1));
  const spare = height - MARGIN - bounds.height * zoom;
  const bottom = Math.max(TOOLS, Math.min(MINIMAP, spare));
  const side = `${MARGIN}px` as const;
  return { padding: { top: side, left: side, right: side, bottom: `${Math.floor(bottom)}px` }, maxZoom: 1 };
}

/** Brings everything into view. */
export function useFit(): (duration: number) => Promise<boolean> {
  const flow = useReactFlow();
  const store = useStoreApi();
  return useCallback(
    (duration) => {
      const { width, height } = store.getState();
      return flow.fitView({ ...fitFor(flow.getNodesBounds(flow.getNodes()), width, height), duration });
    },
    [flow, store],
  );
}

/** Returns what tells that a person moved the view. */
export function useFitOnLoad(): (event: unknown) => void {
  const fitView = useFit();
  const store = useStoreApi();
  const epoch = useGraph((state) => state.epoch);
  const ready = useNodesInitialized();
  const width = useStore((state) => state.width);
  const height = useStore((state) => state.height);
  const fitted = useRef({ epoch: 0, size: '', moved: false });

  useEffect(() => {
    // Right after a document was opened, `ready` is still what was said of the last one.
    if (!ready || !store.getState().nodesInitialized || width === 0) return;
    const size = `${width}x${height}`;
    const last = fitted.current;
    const opened = last.epoch !== epoch;
    if (!opened && (last.moved || last.size === size)) return;
    fitted.current = { epoch, size, moved: false };
    report(fitView(opened ? 0 : 150).then(() => useGraph.setState({ settling: false })));
  }, [ready, epoch, width, height, fitView, store]);

  // Moves that the program makes come without an event.
  return useCallback((event) => {
    if (event) fitted.current.moved = true;
  }, []);
}
