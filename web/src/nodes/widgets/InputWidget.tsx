// The right control for an input, chosen by what its spec says.

import type { InputSpec } from '../../core/catalogue.ts';
import type { SeedControl } from '../../core/document.ts';
import { setValue } from '../../core/edit.ts';
import type { JsonValue } from '../../core/json.ts';
import { useGraph } from '../../state/graph.ts';
import { ChoiceWidget } from './ChoiceWidget.tsx';
import { ImageWidget } from './ImageWidget.tsx';
import { NumberWidget } from './NumberWidget.tsx';
import { SeedWidget } from './SeedWidget.tsx';
import { SliderWidget } from './SliderWidget.tsx';
import { TextWidget } from './TextWidget.tsx';
import { ToggleWidget } from './ToggleWidget.tsx';

export interface WidgetProps<T = JsonValue> {
  /** Identifies the control: `widget-<node>-<input>`. */
  testId: string;
  label: string;
  input: InputSpec;
  value: T;
  onChange: (value: T) => void;
}

interface InputWidgetProps {
  node: string;
  input: InputSpec;
  label: string;
  value: JsonValue;
  control: SeedControl;
}

export function InputWidget({ node, input, label, value, control }: InputWidgetProps) {
  const edit = useGraph((state) => state.edit);
  const onChange = (next: JsonValue) =>
    edit((doc) => setValue(doc, node, input.name, next), `set ${node} ${input.name}`);
  const base = { testId: `widget-${node}-${input.name}`, label, input, onChange };
  const number = typeof value === 'number' || typeof value === 'bigint' ? value : Number(value) || 0;
  const text = value === null ? '' : String(value);
  switch (input.widget) {
    case 'number':
      return <NumberWidget {...base} value={number} />;
    case 'slider':
      return <SliderWidget {...base} value={Number(number)} />;
    case 'seed':
      return <SeedWidget {...base} value={number} node={node} control={control} />;
    case 'choice':
    case 'model':
      return <ChoiceWidget {...base} value={text} />;
    case 'image':
      return <ImageWidget {...base} value={text} />;
    case 'toggle':
      return <ToggleWidget {...base} value={value === true} />;
    case 'multiline':
      return <TextWidget {...base} value={text} multiline />;
    default:
      return <TextWidget {...base} value={text} />;
  }
}
