// From a place on the page to a place on the canvas.

import { useReactFlow } from '@xyflow/react';
import { useCallback } from 'react';
import type { Point } from '../core/document.ts';

export function useFlowPoint(): (x: number, y: number) => Point {
  const flow = useReactFlow();
  return useCallback(
    (x, y) => {
      const point = flow.screenToFlowPosition({ x, y });
      return [Math.round(point.x), Math.round(point.y)];
    },
    [flow],
  );
}
