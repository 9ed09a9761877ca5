// The minimap, with running, failed and cached nodes told apart.

import { MiniMap, Panel } from '@xyflow/react';
import { useCallback } from 'react';
import { t } from '../i18n/index.ts';
import type { FlowNode } from '../state/flow.ts';
import { useGraph } from '../state/graph.ts';
import { useJobs } from '../state/jobs.ts';
import { useSettings } from '../state/settings.ts';

const SIZE = { width: 168, height: 112 };

export function Overview() {
  const shown = useSettings((state) => state.minimap);
  const some = useGraph((state) => state.nodes.length > 0);
  const run = useJobs((state) => state.run);
  const className = useCallback(
    (node: FlowNode) =>
      node.type === 'card' ? `mini-${run?.nodes[node.id]?.phase ?? 'idle'}` : `mini-${node.type}`,
    [run],
  );
  if (!shown || !some) return null;
  return (
    <Panel position="bottom-right" className="minimap" data-testid="minimap">
      <MiniMap<FlowNode>
        pannable
        zoomable
        style={SIZE}
        ariaLabel={t('canvas.minimap')}
        nodeClassName={className}
        nodeBorderRadius={8}
      />
    </Panel>
  );
}
