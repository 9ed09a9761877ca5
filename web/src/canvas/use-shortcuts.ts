// The keyboard: one table from key to action, silent while a person types in a field.

import { useEffect } from 'react';
import { chooseFile, openFile, saveFile } from '../state/files.ts';
import { useGraph } from '../state/graph.ts';
import { report } from '../state/report.ts';
import { runWorkflow } from '../state/run.ts';
import {
  addNote,
  collapseSelection,
  copySelection,
  deleteSelection,
  duplicateSelection,
  groupSelection,
  muteSelection,
  paste,
  renameSelection,
  selectAll,
} from '../state/selection.ts';
import { useUi } from '../state/ui.ts';
import { isTyping } from '../ui/keys.ts';
import { useArrange } from './use-arrange.ts';
import { useFit } from './use-fit-on-load.ts';
import { useFlowPoint } from './use-flow-point.ts';

type Actions = Readonly<Record<string, () => void>>;

/** "mod+shift+z", "f2", "?" … */
function nameOf(event: KeyboardEvent): string {
  const key = event.key.toLowerCase();
  const mod = event.ctrlKey || event.metaKey ? 'mod+' : '';
  const shift = event.shiftKey && mod ? 'shift+' : '';
  return `${mod}${event.altKey ? 'alt+' : ''}${shift}${key}`;
}

/** These work everywhere, even in the middle of a prompt. */
const EVERYWHERE: Actions = {
  'mod+enter': () => report(runWorkflow()),
  'mod+s': saveFile,
  'mod+o': chooseFile,
};

function openPalette(pointer: { x: number; y: number }): void {
  useUi.setState({ palette: { ...pointer, loose: null } });
}

export function useShortcuts(): void {
  const flowPoint = useFlowPoint();
  const arrange = useArrange();
  const fitView = useFit();
  useEffect(() => {
    const pointer = { x: window.innerWidth / 2, y: window.innerHeight / 3 };
    const { undo, redo } = useGraph.getState();
    const actions: Actions = {
      'mod+z': undo,
      'mod+shift+z': redo,
      'mod+y': redo,
      'mod+a': selectAll,
      'mod+d': duplicateSelection,
      'mod+g': groupSelection,
      delete: deleteSelection,
      backspace: deleteSelection,
      m: () => muteSelection('mute'),
      b: () => muteSelection('bypass'),
      c: collapseSelection,
      f2: renameSelection,
      f: () => report(fitView(200)),
      l: arrange,
      n: () => addNote(flowPoint(pointer.x, pointer.y)),
      g: () => useUi.setState((state) => ({ gallery: !state.gallery })),
      '/': () => openPalette(pointer),
      '?': () => useUi.setState({ shortcuts: true }),
    };

    const onKeyDown = (event: KeyboardEvent) => {
      const name = nameOf(event);
      const action =
        EVERYWHERE[name] ?? (isTyping(event.target) || overlayOpen() ? undefined : actions[name]);
      if (!action) return;
      event.preventDefault();
      action();
    };
    const onPointerMove = (event: PointerEvent) => {
      pointer.x = event.clientX;
      pointer.y = event.clientY;
    };
    const onCopy = (event: ClipboardEvent) => {
      if (isTyping(event.target) || overlayOpen() || window.getSelection()?.toString()) return;
      const text = copySelection();
      if (!text) return;
      event.clipboardData?.setData('text/plain', text);
      event.preventDefault();
      if (event.type === 'cut') deleteSelection();
    };
    const onPaste = (event: ClipboardEvent) => {
      if (isTyping(event.target) || overlayOpen()) return;
      const at = flowPoint(pointer.x, pointer.y);
      const file = event.clipboardData?.files[0];
      const onCanvas = document.elementFromPoint(pointer.x, pointer.y)?.closest('.canvas');
      if (file) report(openFile(file, at));
      else if (!paste(event.clipboardData?.getData('text/plain') ?? '', onCanvas ? at : null)) return;
      event.preventDefault();
    };

    window.addEventListener('keydown', onKeyDown);
    window.addEventListener('pointermove', onPointerMove);
    document.addEventListener('copy', onCopy);
    document.addEventListener('cut', onCopy);
    document.addEventListener('paste', onPaste);
    return () => {
      window.removeEventListener('keydown', onKeyDown);
      window.removeEventListener('pointermove', onPointerMove);
      document.removeEventListener('copy', onCopy);
      document.removeEventListener('cut', onCopy);
      document.removeEventListener('paste', onPaste);
    };
  }, [flowPoint, fitView, arrange]);
}

const overlayOpen = (): boolean => {
  const { palette, shortcuts, lightbox } = useUi.getState();
  return palette !== null || shortcuts || lightbox !== null;
};
