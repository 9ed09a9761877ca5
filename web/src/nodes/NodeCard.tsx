// One node on the canvas. It reads only its own node from the stores, so an edit elsewhere does not redraw it.

import { type NodeProps, type ReactFlowState, useStore, useUpdateNodeInternals } from '@xyflow/react';
import { CircleAlert, TriangleAlert } from 'lucide-react';
import { memo, useEffect, useRef } from 'react';
import { findSpec, type NodeSpec } from '../core/catalogue.ts';
import type { GraphNode } from '../core/document.ts';
import { cardWidth, estimateSize } from '../core/layout.ts';
import type { NodeRun } from '../core/run.ts';
import { t } from '../i18n/index.ts';
import { useCatalogue } from '../state/catalogue.ts';
import type { CardNode } from '../state/flow.ts';
import { useGraph } from '../state/graph.ts';
import { useJobs } from '../state/jobs.ts';
import { cx } from '../ui/cx.ts';
import { FarCard } from './FarCard.tsx';
import { NodeBody } from './NodeBody.tsx';
import { NodeHeader } from './NodeHeader.tsx';
import { NodeResult } from './NodeResult.tsx';
import { Port } from './Port.tsx';
import { ResizeGrip } from './ResizeGrip.tsx';
import { useNodeRun } from './use-node-run.ts';

/** Below this zoom a card's text cannot be read. */
const FAR_ZOOM = 0.3;
const NONE: readonly string[] = [];
const isFar = (state: ReactFlowState): boolean => state.transform[2] < FAR_ZOOM;

/** Whether to draw the card as from far away. When that ends, its ports are measured anew. */
function useFar(id: string): boolean {
  const zoomedOut = useStore(isFar);
  const settling = useGraph((state) => state.settling);
  const far = zoomedOut || settling;
  const was = useRef(far);
  const measure = useUpdateNodeInternals();
  useEffect(() => {
    if (was.current && !far) measure(id);
    was.current = far;
  }, [far, id, measure]);
  return far;
}

export const NodeCard = memo(function NodeCard({ id, selected, height }: NodeProps<CardNode>) {
  const node = useGraph((state) => state.doc.nodes[id]);
  const spec = useCatalogue((state) => (node ? findSpec(state.catalogue, node.classType) : undefined));
  const ready = useCatalogue((state) => state.ready);
  const problems = useJobs((state) => state.byNode[id]);
  const run = useNodeRun(id);
  const far = useFar(id);
  if (!node) return null;
  const failed = problems?.all.some((problem) => problem.severity === 'error') || run?.phase === 'failed';
  const unknown = ready && !spec;
  const title = node.title ?? spec?.title ?? node.classType;
  const width = node.size?.[0] ?? cardWidth(spec);
  return (
    <article
      className={cx(
        'card',
        selected && 'is-selected',
        failed && 'is-failed',
        unknown && 'is-unknown',
        run && `is-${run.phase}`,
        node.mode !== 'normal' && `mode-${node.mode}`,
      )}
      style={far ? { width, height: height ?? estimateSize(node, spec).height } : { width }}
      data-testid={`node-${id}`}
      data-phase={run?.phase ?? 'idle'}
      data-mode={node.mode}
      aria-label={title}
    >
      {far ? (
        <FarCard node={node} spec={spec} title={title} />
      ) : (
        <NearCard node={node} spec={spec} run={run} />
      )}
      {!far && <NodeErrors id={id} warnings={run?.warnings ?? NONE} />}
      {!far && <ResizeGrip id={id} width={width} />}
    </article>
  );
});

interface NearCardProps {
  node: GraphNode;
  spec: NodeSpec | undefined;
  run: NodeRun | undefined;
}

function NearCard({ node, spec, run }: NearCardProps) {
  const ready = useCatalogue((state) => state.ready);
  return (
    <>
      <NodeHeader node={node} spec={spec} run={run} />
      {node.collapsed ? (
        <CollapsedPorts node={node} spec={spec} />
      ) : (
        <>
          {spec ? <NodeBody node={node} spec={spec} /> : <UnknownBody node={node} unknown={ready} />}
          <NodeResult id={node.id} spec={spec} run={run} />
        </>
      )}
    </>
  );
}

/** Links must end somewhere even when the rows are hidden: all ports lie on top of one another in the header. */
function CollapsedPorts({ node, spec }: { node: GraphNode; spec: NodeSpec | undefined }) {
  return (
    <div className="collapsed-ports">
      {Object.keys(node.links).map((name) => (
        <Port
          key={name}
          node={node.id}
          side="input"
          name={name}
          index={0}
          type={spec?.inputs.find((input) => input.name === name)?.type ?? '*'}
          linked
        />
      ))}
      {spec?.outputs.map((output, index) => (
        <Port
          key={output.name}
          node={node.id}
          side="output"
          name={output.name}
          index={index}
          type={output.type}
        />
      ))}
    </div>
  );
}

/** A node whose pack is missing: its links and values are kept, and shown as far as they are known. */
function UnknownBody({ node, unknown }: { node: GraphNode; unknown: boolean }) {
  return (
    <div className="card-body">
      {Object.keys(node.links).map((name) => (
        <div className="row" key={name}>
          <Port node={node.id} side="input" name={name} index={0} type="*" linked />
          <span className="row-label">{name}</span>
        </div>
      ))}
      <Port node={node.id} side="output" name="0" index={0} type="*" />
      {unknown && (
        <p className="card-note">
          {t('node.unknown', { type: node.classType })} {t('node.unknownHelp')}
        </p>
      )}
    </div>
  );
}

/** What is wrong with the node, and what its last run warned of. */
function NodeErrors({ id, warnings }: { id: string; warnings: readonly string[] }) {
  const problems = useJobs((state) => state.byNode[id]);
  if (!problems && warnings.length === 0) return null;
  return (
    <ul className="card-errors">
      {problems?.all.map((problem) => (
        <li key={`${problem.code}-${problem.input}-${problem.message}`} className={`is-${problem.severity}`}>
          <CircleAlert size={14} aria-hidden="true" />
          <span>{problem.message}</span>
        </li>
      ))}
      {warnings.map((message) => (
        <li key={message} className="is-warning">
          <TriangleAlert size={14} aria-hidden="true" />
          <span>{message}</span>
        </li>
      ))}
    </ul>
  );
}
