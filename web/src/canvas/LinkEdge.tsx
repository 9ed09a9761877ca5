// A link in the colour of what flows through it; it moves while the node it feeds is running.

import { BaseEdge, EdgeLabelRenderer, type EdgeProps, getBezierPath, getSmoothStepPath } from '@xyflow/react';
import { X } from 'lucide-react';
import { memo } from 'react';
import { findSpec } from '../core/catalogue.ts';
import { disconnect } from '../core/edit.ts';
import { t } from '../i18n/index.ts';
import { typeColour } from '../nodes/type-colour.ts';
import { useNodeRun } from '../nodes/use-node-run.ts';
import { useCatalogue } from '../state/catalogue.ts';
import type { FlowEdge } from '../state/flow.ts';
import { useGraph } from '../state/graph.ts';
import { cx } from '../ui/cx.ts';

const ROOM = 24;

/** A curve to what lies ahead; around the corner, between the cards, to what lies behind. */
const linkPath = (props: EdgeProps<FlowEdge>) =>
  props.targetX > props.sourceX + ROOM
    ? getBezierPath(props)
    : getSmoothStepPath({ ...props, borderRadius: 12, offset: 18 });

export const LinkEdge = memo(function LinkEdge(props: EdgeProps<FlowEdge>) {
  const { id, source, target, data, selected } = props;
  const classType = useGraph((state) => state.doc.nodes[source]?.classType ?? '');
  const dim = useGraph(
    (state) => state.doc.nodes[source]?.mode === 'mute' || state.doc.nodes[target]?.mode === 'mute',
  );
  const type = useCatalogue(
    (state) => findSpec(state.catalogue, classType)?.outputs[data?.output ?? 0]?.type ?? '*',
  );
  const active = useNodeRun(target)?.phase === 'running';
  const [path, labelX, labelY] = linkPath(props);
  return (
    <>
      <BaseEdge
        id={id}
        path={path}
        interactionWidth={18}
        className={cx('link', selected && 'is-selected', active && 'is-active', dim && 'is-dim')}
        style={{ '--port': typeColour(type) } as React.CSSProperties}
      />
      {selected && (
        <EdgeLabelRenderer>
          <button
            type="button"
            className="link-delete nodrag nopan"
            style={{ transform: `translate(-50%, -50%) translate(${labelX}px, ${labelY}px)` }}
            aria-label={t('link.delete')}
            onClick={() => useGraph.getState().edit((doc) => disconnect(doc, target, data?.input ?? ''))}
          >
            <X size={12} />
          </button>
        </EdgeLabelRenderer>
      )}
    </>
  );
});
