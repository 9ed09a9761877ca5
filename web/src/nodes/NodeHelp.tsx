// What a node does and what each input means, in a popover, from the node's own description.

import { Popover } from 'radix-ui';
import type { ReactNode } from 'react';
import type { NodeSpec } from '../core/catalogue.ts';
import { t, typeName } from '../i18n/index.ts';
import { typeColour } from './type-colour.ts';

export function TypeDot({ type }: { type: string }) {
  return <span className="type-dot" style={{ background: typeColour(type) }} aria-hidden="true" />;
}

export function HelpText({ spec }: { spec: NodeSpec }) {
  return (
    <div className="help">
      <h4>{spec.title}</h4>
      {spec.description.split(/\n\s*\n/).map((paragraph) => (
        <p key={paragraph}>{paragraph}</p>
      ))}
      {spec.inputs.length > 0 && <h5>{t('node.inputs')}</h5>}
      <dl>
        {spec.inputs.map((input) => (
          <div key={input.name}>
            <dt>
              <TypeDot type={input.type} />
              {input.label ?? input.name} <small>{typeName(input.type)}</small>
              {input.required && input.widget === null && <small> · {t('node.required')}</small>}
            </dt>
            {input.help && <dd>{input.help}</dd>}
          </div>
        ))}
      </dl>
      {spec.outputs.length > 0 && <h5>{t('node.outputs')}</h5>}
      <dl>
        {spec.outputs.map((output) => (
          <div key={output.name}>
            <dt>
              <TypeDot type={output.type} />
              {output.name} <small>{typeName(output.type)}</small>
            </dt>
          </div>
        ))}
      </dl>
      <footer>
        {spec.id}
        {spec.aliases.length > 0 && ` · ${spec.aliases.join(', ')}`} · {spec.pack}
      </footer>
    </div>
  );
}

export function NodeHelp({ spec, children }: { spec: NodeSpec; children: ReactNode }) {
  return (
    <Popover.Root>
      <Popover.Trigger asChild>
        <span className="help-trigger">{children}</span>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content className="popover" side="right" align="start" sideOffset={12} collisionPadding={12}>
          <HelpText spec={spec} />
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}
