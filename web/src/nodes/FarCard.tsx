// A card seen from far away: its outline, its name, and where its links end. Text and controls that nobody could read
// are left out, which is what keeps large workflows smooth.

import type { NodeSpec } from '../core/catalogue.ts';
import type { GraphNode } from '../core/document.ts';
import { inputHandle, outputHandle } from '../state/flow.ts';

interface FarCardProps {
  node: GraphNode;
  spec: NodeSpec | undefined;
  title: string;
}

const FIRST_ROW = 46;
const ROW = 24;

export function FarCard({ node, spec, title }: FarCardProps) {
  return (
    <div className="far">
      <span className="far-title">{title}</span>
      {Object.keys(node.links).map((name, index) => (
        <Mark key={name} side="target" handle={inputHandle(name)} index={index} />
      ))}
      {spec?.outputs.map((output, index) => (
        <Mark key={output.name} side="source" handle={outputHandle(index)} index={index} />
      ))}
    </div>
  );
}

interface MarkProps {
  side: 'source' | 'target';
  handle: string;
  index: number;
}

/** React Flow finds the ends of links by these attributes; a full port would listen to the pointer as well. */
function Mark({ side, handle, index }: MarkProps) {
  return (
    <i
      className={`far-mark ${side}`}
      data-handleid={handle}
      data-handlepos={side === 'source' ? 'right' : 'left'}
      style={{ top: FIRST_ROW + index * ROW }}
    />
  );
}
