// The page: rail and panels around the canvas, and everything that floats above it.

import { ReactFlowProvider } from '@xyflow/react';
import { FileDown } from 'lucide-react';
import { Tooltip } from 'radix-ui';
import { type DragEvent, useState } from 'react';
import { Canvas } from './canvas/Canvas.tsx';
import { useFlowPoint } from './canvas/use-flow-point.ts';
import { useShortcuts } from './canvas/use-shortcuts.ts';
import { t } from './i18n/index.ts';
import { EngineNotice } from './panels/EngineNotice.tsx';
import { Gallery } from './panels/Gallery.tsx';
import { Lightbox } from './panels/Lightbox.tsx';
import { Palette } from './panels/Palette.tsx';
import { Problems } from './panels/Problems.tsx';
import { Shortcuts } from './panels/Shortcuts.tsx';
import { SideRail } from './panels/SideRail.tsx';
import { TopBar } from './panels/TopBar.tsx';
import { openFile } from './state/files.ts';
import { report } from './state/report.ts';
import { Toasts } from './ui/Toasts.tsx';

export function App() {
  return (
    <ReactFlowProvider>
      <Tooltip.Provider delayDuration={400} skipDelayDuration={150}>
        <Page />
        <Toasts />
      </Tooltip.Provider>
    </ReactFlowProvider>
  );
}

const holdsFiles = (event: DragEvent): boolean => event.dataTransfer.types.includes('Files');

function Page() {
  useShortcuts();
  const [over, setOver] = useState(false);
  const flowPoint = useFlowPoint();
  const onDragOver = (event: DragEvent) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    setOver(!(event.target as Element).closest('[data-image-drop]'));
  };
  const onDragLeave = (event: DragEvent) => {
    if (event.relatedTarget === null) setOver(false);
  };
  const onDrop = (event: DragEvent) => {
    setOver(false);
    const file = event.dataTransfer.files[0];
    if (!file) return;
    event.preventDefault();
    report(openFile(file, flowPoint(event.clientX, event.clientY)));
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: files can be opened with a button as well
    <div
      className="page"
      onDragOver={onDragOver}
      onDragLeave={onDragLeave}
      onDrop={onDrop}
      onDropCapture={() => setOver(false)}
    >
      <TopBar />
      <SideRail />
      <main className="stage">
        <Canvas />
        <EngineNotice />
        <Problems />
      </main>
      <Gallery />
      <Palette />
      <Lightbox />
      <Shortcuts />
      {over && (
        <div className="drop-overlay">
          <div>
            <FileDown size={32} aria-hidden="true" />
            <b>{t('file.dropHere')}</b>
            <span>{t('file.dropHelp')}</span>
          </div>
        </div>
      )}
    </div>
  );
}
