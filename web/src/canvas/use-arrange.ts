// Lays the workflow out anew, or only the selected nodes where they are, by the cards' real sizes.

import { useReactFlow } from '@xyflow/react';
import { useCallback } from 'react';
import { moveNodes } from '../core/edit.ts';
import { arrange } from '../core/layout.ts';
import { selectedIds, useGraph } from '../state/graph.ts';
import { useFit } from './use-fit-on-load.ts';

export function useArrange(): () => void {
  const flow = useReactFlow();
  const fitView = useFit();
  return useCallback(() => {
    const { doc, edit } = useGraph.getState();
    const chosen = selectedIds();
    const ids = chosen.length > 1 ? chosen : Object.keys(doc.nodes);
    if (ids.length === 0) return;
    const corners = ids.map((id) => doc.nodes[id]?.pos ?? [0, 0]);
    const left = Math.min(...corners.map(([x]) => x ?? 0));
    const top = Math.min(...corners.map(([, y]) => y ?? 0));
    const sizeOf = (id: string) => {
      const node = flow.getNode(id);
      return {
        width: node?.measured?.width ?? node?.initialWidth ?? 240,
        height: node?.measured?.height ?? node?.initialHeight ?? 120,
      };
    };
    edit((now) => moveNodes(now, arrange(now, sizeOf, ids, [left, top])));
    // The new places reach React Flow with its next render.
    requestAnimationFrame(() => void fitView(250));
  }, [flow, fitView]);
}
