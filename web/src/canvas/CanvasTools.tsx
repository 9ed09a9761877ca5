// The small toolbar on the canvas: zoom, fit, arrange, minimap.

import { Panel, useReactFlow, useStore } from '@xyflow/react';
import { Map as MapIcon, Maximize, Minus, Plus, Workflow } from 'lucide-react';
import { t } from '../i18n/index.ts';
import { report } from '../state/report.ts';
import { useSettings } from '../state/settings.ts';
import { IconButton } from '../ui/Button.tsx';
import { useArrange } from './use-arrange.ts';
import { useFit } from './use-fit-on-load.ts';

export function CanvasTools() {
  const flow = useReactFlow();
  const arrange = useArrange();
  const fitView = useFit();
  const zoom = useStore((state) => Math.round(state.transform[2] * 100));
  const minimap = useSettings((state) => state.minimap);
  return (
    <Panel position="bottom-left" className="tools">
      <IconButton side="top" label={t('canvas.zoomOut')} onClick={() => report(flow.zoomOut())}>
        <Minus size={16} />
      </IconButton>
      <button type="button" className="tools-zoom" onClick={() => report(flow.zoomTo(1))} title="100 %">
        {zoom} %
      </button>
      <IconButton side="top" label={t('canvas.zoomIn')} onClick={() => report(flow.zoomIn())}>
        <Plus size={16} />
      </IconButton>
      <span className="tools-line" />
      <IconButton side="top" label={t('canvas.fit')} keys="F" onClick={() => report(fitView(200))}>
        <Maximize size={16} />
      </IconButton>
      <IconButton side="top" label={t('canvas.arrange')} keys="L" onClick={arrange}>
        <Workflow size={16} />
      </IconButton>
      <IconButton
        side="top"
        label={t('top.minimap')}
        active={minimap}
        onClick={() => useSettings.setState({ minimap: !minimap })}
      >
        <MapIcon size={16} />
      </IconButton>
    </Panel>
  );
}
