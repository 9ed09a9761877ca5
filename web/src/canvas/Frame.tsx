// A coloured frame around nodes that belong together; moving it moves what lies inside.

import type { NodeProps } from '@xyflow/react';
import { memo } from 'react';
import { changeGroup } from '../core/edit.ts';
import { t } from '../i18n/index.ts';
import type { FlowNode, FrameNode } from '../state/flow.ts';
import { useGraph } from '../state/graph.ts';
import { GroupResizer } from './GroupResizer.tsx';

/** Cards and notes whose top left corner lies inside the frame. */
function inside(frame: FlowNode, nodes: readonly FlowNode[]): string[] {
  const { x, y } = frame.position;
  const right = x + (frame.width ?? 0);
  const bottom = y + (frame.height ?? 0);
  return nodes
    .filter((node) => node.type !== 'frame')
    .filter(({ position: at }) => at.x >= x && at.x < right && at.y >= y && at.y < bottom)
    .map((node) => node.id);
}

export const Frame = memo(function Frame({ id, data, selected }: NodeProps<FrameNode>) {
  const edit = useGraph((state) => state.edit);
  const take = () => {
    const { nodes, select } = useGraph.getState();
    const frame = nodes.find((node) => node.id === id);
    if (frame) select([id, ...inside(frame, nodes)]);
  };
  return (
    <div className="frame" style={{ '--frame': data.color ?? 'var(--accent)' } as React.CSSProperties}>
      <GroupResizer index={data.index} shown={Boolean(selected)} minHeight={100} />
      <div className="frame-title" onPointerDownCapture={take}>
        <input
          className="frame-name"
          value={data.title}
          aria-label={t('canvas.groupName')}
          onChange={(event) =>
            edit((doc) => changeGroup(doc, data.index, { title: event.target.value }), `group ${data.index}`)
          }
        />
      </div>
    </div>
  );
});
