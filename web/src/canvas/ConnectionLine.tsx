// The link that is being drawn, in the colour of its type; over a port it does not fit it says why, at the pointer.

import { type ConnectionLineComponentProps, getBezierPath, useStore } from '@xyflow/react';
import { createPortal } from 'react-dom';
import { typeColour } from '../nodes/type-colour.ts';
import { useConnecting } from '../state/connecting.ts';
import type { FlowNode } from '../state/flow.ts';
import { drawnEndpoints, refusalText, whyNot } from './use-connect.ts';

export function ConnectionLine(props: ConnectionLineComponentProps<FlowNode>) {
  const { fromX, fromY, toX, toY, fromPosition, toPosition, fromHandle, toHandle } = props;
  const type = useConnecting((state) => state.end?.type ?? '*');
  const [path] = getBezierPath({
    sourceX: fromX,
    sourceY: fromY,
    sourcePosition: fromPosition,
    targetX: toX,
    targetY: toY,
    targetPosition: toPosition,
  });
  const ends = drawnEndpoints({ fromHandle, toHandle });
  const why = ends && whyNot(ends);
  return (
    <g
      className={why ? 'drawn-link is-refused' : 'drawn-link'}
      style={{ '--port': typeColour(type) } as React.CSSProperties}
    >
      <path d={path} />
      <circle cx={toX} cy={toY} r={4} />
      {why && <Reason text={refusalText(why)} x={toX} y={toY} />}
    </g>
  );
}

function Reason({ text, x, y }: { text: string; x: number; y: number }) {
  const [tx, ty, zoom] = useStore((state) => state.transform);
  const host = useStore((state) => state.domNode);
  if (!host) return null;
  return createPortal(
    <div className="reason" role="status" style={{ left: x * zoom + tx, top: y * zoom + ty }}>
      {text}
    </div>,
    host,
  );
}
