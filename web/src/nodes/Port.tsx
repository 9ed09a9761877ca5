// A typed, coloured port. While a link is being drawn, the ports it fits stand out and the others step back.

import { Handle, Position } from '@xyflow/react';
import { memo } from 'react';
import { fits } from '../core/types.ts';
import { t, typeName } from '../i18n/index.ts';
import { catalogueNow } from '../state/catalogue.ts';
import { useConnecting } from '../state/connecting.ts';
import { inputHandle, outputHandle } from '../state/flow.ts';
import { cx } from '../ui/cx.ts';
import { typeColour } from './type-colour.ts';

interface PortProps {
  node: string;
  side: 'input' | 'output';
  name: string;
  index: number;
  type: string;
  required?: boolean;
  linked?: boolean;
}

/** How this port relates to the link being drawn: 'fit', 'unfit', or '' when none is drawn. */
function usePortState({ node, side, type }: PortProps): string {
  return useConnecting((state) => {
    const end = state.end;
    if (!end) return '';
    if (end.node === node) return end.side === side ? '' : 'unfit';
    if (end.side === side) return 'unfit';
    const { widening } = catalogueNow();
    const fit = side === 'input' ? fits(end.type, type, widening) : fits(type, end.type, widening);
    return fit ? 'fit' : 'unfit';
  });
}

export const Port = memo(function Port(props: PortProps) {
  const { side, name, index, type, linked, required } = props;
  const state = usePortState(props);
  const isInput = side === 'input';
  const label = t(isInput ? 'node.input' : 'node.output', { name, type: typeName(type) });
  return (
    <Handle
      type={isInput ? 'target' : 'source'}
      position={isInput ? Position.Left : Position.Right}
      id={isInput ? inputHandle(name) : outputHandle(index)}
      className={cx('port', linked && 'is-linked', required && 'is-required', state && `is-${state}`)}
      style={{ '--port': typeColour(type) } as React.CSSProperties}
      title={`${label}${typeName(type) === type ? '' : ` (${type})`}`}
      aria-label={label}
    />
  );
});
