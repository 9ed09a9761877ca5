// The right edge of a card: drag it to make the card wider or narrower, double-click it for the usual width.

import { useReactFlow } from '@xyflow/react';
import { type PointerEvent, useRef } from 'react';
import { resizeNode } from '../core/edit.ts';
import { useGraph } from '../state/graph.ts';

const MIN_WIDTH = 180;
const MAX_WIDTH = 900;

export function ResizeGrip({ id, width }: { id: string; width: number }) {
  const flow = useReactFlow();
  const edit = useGraph((state) => state.edit);
  const start = useRef<{ x: number; width: number } | null>(null);
  const onPointerMove = (event: PointerEvent) => {
    if (!start.current) return;
    const moved = (event.clientX - start.current.x) / flow.getZoom();
    const wanted = Math.round(Math.min(Math.max(start.current.width + moved, MIN_WIDTH), MAX_WIDTH));
    edit((doc) => resizeNode(doc, id, [wanted, doc.nodes[id]?.size?.[1] ?? 0]), `size ${id}`);
  };
  return (
    <div
      className="resize-grip nodrag"
      aria-hidden="true"
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        start.current = { x: event.clientX, width };
      }}
      onPointerMove={onPointerMove}
      onPointerUp={() => {
        start.current = null;
      }}
      onDoubleClick={() => edit((doc) => resizeNode(doc, id, null))}
    />
  );
}
