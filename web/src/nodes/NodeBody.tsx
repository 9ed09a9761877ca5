// The rows of a card: ports that only take links beside the outputs, then one row per widget.

import { ChevronDown, ChevronUp, Link2 } from 'lucide-react';
import { memo, useState } from 'react';
import type { InputSpec, NodeSpec } from '../core/catalogue.ts';
import type { GraphNode } from '../core/document.ts';
import { t } from '../i18n/index.ts';
import { useJobs } from '../state/jobs.ts';
import { cx } from '../ui/cx.ts';
import { Port } from './Port.tsx';
import { typeColour } from './type-colour.ts';
import { InputWidget } from './widgets/InputWidget.tsx';

/** Input names are written as words: "sampler_name" reads "sampler name". */
const labelOf = (input: InputSpec): string => input.label ?? input.name.replaceAll('_', ' ');

export function NodeBody({ node, spec }: { node: GraphNode; spec: NodeSpec }) {
  const [more, setMore] = useState(false);
  const sockets = spec.inputs.filter((input) => input.widget === null);
  const widgets = spec.inputs.filter((input) => input.widget !== null);
  const isHidden = (input: InputSpec) => input.advanced && !more && !node.links[input.name];
  const hidden = widgets.filter((input) => input.advanced && !node.links[input.name]).length;
  return (
    <div className="card-body">
      {(sockets.length > 0 || spec.outputs.length > 0) && (
        <div className="sockets">
          <div className="sockets-in">
            {sockets.map((input) => (
              <SocketRow key={input.name} node={node} input={input} />
            ))}
          </div>
          <div className="sockets-out">
            {spec.outputs.map((output, index) => (
              <div className="row row-output" key={output.name}>
                <span className="row-label">{outputLabel(output.name)}</span>
                <Port node={node.id} side="output" name={output.name} index={index} type={output.type} />
              </div>
            ))}
          </div>
        </div>
      )}
      {widgets.map((input) =>
        isHidden(input) ? null : <WidgetRow key={input.name} node={node} input={input} />,
      )}
      {hidden > 0 && (
        <button type="button" className="more nodrag" onClick={() => setMore(!more)} aria-expanded={more}>
          {more ? <ChevronUp size={12} /> : <ChevronDown size={12} />}
          {more ? t('node.less') : t('node.advanced', { count: hidden })}
        </button>
      )}
    </div>
  );
}

const ACRONYMS = new Set(['CLIP', 'VAE', 'CFG']);

/** Outputs are named by their type in capitals as often as not: "LATENT" reads better as "latent". */
const outputLabel = (name: string): string => {
  const shouted = name === name.toUpperCase() && !ACRONYMS.has(name);
  return (shouted ? name.toLowerCase() : name).replaceAll('_', ' ');
};

function SocketRow({ node, input }: { node: GraphNode; input: InputSpec }) {
  const problem = useJobs((state) => state.byNode[node.id]?.byInput[input.name]);
  const linked = input.name in node.links;
  return (
    <div className={cx('row', problem && `has-${problem.severity}`)} title={problem?.message ?? input.help}>
      <Port
        node={node.id}
        side="input"
        name={input.name}
        index={0}
        type={input.type}
        linked={linked}
        required={input.required && !linked}
      />
      <span className="row-label">{labelOf(input)}</span>
    </div>
  );
}

interface WidgetRowProps {
  node: GraphNode;
  input: InputSpec;
}

const WidgetRow = memo(
  function WidgetRow({ node, input }: WidgetRowProps) {
    const problem = useJobs((state) => state.byNode[node.id]?.byInput[input.name]);
    const linked = input.name in node.links;
    const tall = !linked && (input.widget === 'multiline' || input.widget === 'image');
    return (
      <div
        className={cx(
          'row row-widget',
          tall && 'is-tall',
          (input.widget === 'model' || input.widget === 'seed') && 'is-long',
          problem && `has-${problem.severity}`,
        )}
        title={problem?.message}
      >
        <Port node={node.id} side="input" name={input.name} index={0} type={input.type} linked={linked} />
        <span className="row-label" title={input.help}>
          {labelOf(input)}
        </span>
        {linked ? (
          <span className="linked" style={{ '--port': typeColour(input.type) } as React.CSSProperties}>
            <Link2 size={12} aria-hidden="true" /> {t('node.linked')}
          </span>
        ) : (
          <InputWidget
            node={node.id}
            input={input}
            label={labelOf(input)}
            value={node.values[input.name] ?? input.default}
            control={node.seedControl[input.name] ?? 'fixed'}
          />
        )}
      </div>
    );
  },
  (before, after) =>
    before.input === after.input &&
    before.node.id === after.node.id &&
    before.node.values[before.input.name] === after.node.values[after.input.name] &&
    before.node.links[before.input.name] === after.node.links[after.input.name] &&
    before.node.seedControl[before.input.name] === after.node.seedControl[after.input.name],
);
