// Lays the workflow out anew, its notes included, or only the selected nodes where they are, by the cards' real sizes.

import { useReactFlow } from '@xyflow/react';
import { useCallback } from 'react';
import type { Point } from '../core/document.ts';
import { moveGroups, moveNodes } from '../core/edit.ts';
import { arrange } from '../core/layout.ts';
import { selectedIds, useGraph } from '../state/graph.ts';
import { report } from '../state/report.ts';
import { useFit } from './use-fit-on-load.ts';

export function useArrange(): () => void {
  const flow = useReactFlow();
  const fitView = useFit();
  return useCallback(() => {
    const { nodes, edit } = useGraph.getState();
    const chosen = selectedIds();
    const some = chosen.length > 1 ? nodes.filter((node) => chosen.includes(node.id)) : nodes;
    const moving = some.filter((node) => node.type !== 'frame');
    if (moving.length === 0) return;
    const left = Math.min(...moving.map((node) => node.position.x));
    const top = Math.min(...moving.map((node) => node.position.y));
    const sizeOf = (id: string) => {
      const node = flow.getNode(id);
      return {
        width: node?.measured?.width ?? node?.initialWidth ?? 240,
        height: node?.measured?.height ?? node?.initialHeight ?? 120,
      };
    };
    edit((doc) => {
      const ids = moving.map((node) => node.id);
      const corners = arrange(doc, sizeOf, ids, [left, top]);
      const notes = new Map<number, Point>();
      for (const node of moving) {
        const corner = corners.get(node.id);
        if (node.type === 'note' && corner) notes.set(node.data.index, corner);
      }
      return moveNodes(moveGroups(doc, notes), corners);
    });
    // The new places reach React Flow with its next render.
    requestAnimationFrame(() => report(fitView(250)));
  }, [flow, fitView]);
}
