// The handles around a selected frame or note; letting go of one is the edit.

import { NodeResizer } from '@xyflow/react';
import { changeGroup } from '../core/edit.ts';
import { useGraph } from '../state/graph.ts';

interface ResizerProps {
  index: number;
  shown: boolean;
  minHeight: number;
}

export function GroupResizer({ index, shown, minHeight }: ResizerProps) {
  const edit = useGraph((state) => state.edit);
  return (
    <NodeResizer
      isVisible={shown}
      minWidth={160}
      minHeight={minHeight}
      onResizeEnd={(_event, { x, y, width, height }) =>
        edit((doc) => changeGroup(doc, index, { bounds: [x, y, width, height] }))
      }
    />
  );
}
