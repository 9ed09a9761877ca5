// The context menu of the canvas; what it offers depends on what was clicked: a node, a link, a frame, or nothing.

import { useReactFlow } from '@xyflow/react';
import { ContextMenu } from 'radix-ui';
import { type MouseEvent, type ReactNode, useState } from 'react';
import { useGraph } from '../state/graph.ts';
import { report } from '../state/report.ts';
import { ContextItems, type MenuEntry } from '../ui/Menu.tsx';
import { canvasEntries, frameEntries, linkEntries, nodeEntries, noteEntries } from './menu-entries.tsx';
import { useArrange } from './use-arrange.ts';
import { useFit } from './use-fit-on-load.ts';

export function CanvasMenu({ children }: { children: ReactNode }) {
  const [entries, setEntries] = useState<readonly MenuEntry[]>([]);
  const flow = useReactFlow();
  const arrange = useArrange();
  const fitView = useFit();

  const onContextMenu = (event: MouseEvent) => {
    const target = event.target as Element;
    // Text fields and links keep the browser's own menu (spelling, paste, the address).
    if (target.closest('input, textarea, .note a')) {
      event.stopPropagation();
      return;
    }
    const { x, y } = { x: event.clientX, y: event.clientY };
    const card = target.closest('.react-flow__node')?.getAttribute('data-id');
    const edge = target.closest('.react-flow__edge')?.getAttribute('data-id');
    const { nodes, select } = useGraph.getState();
    const node = card ? nodes.find((each) => each.id === card) : undefined;
    if (node && !node.selected) select([node.id]);
    if (node?.type === 'frame') setEntries(frameEntries(node.data.index));
    else if (node?.type === 'note') setEntries(noteEntries(node.data.index));
    else if (node) setEntries(nodeEntries(node.id));
    else if (edge) setEntries(linkEntries(edge, { x, y }));
    else {
      const point = flow.screenToFlowPosition({ x, y });
      setEntries(
        canvasEntries({
          page: { x, y },
          at: [point.x, point.y],
          arrange,
          fit: () => report(fitView(200)),
        }),
      );
    }
  };

  return (
    <ContextMenu.Root modal={false}>
      <ContextMenu.Trigger asChild>
        <div className="canvas-area" onContextMenuCapture={onContextMenu}>
          {children}
        </div>
      </ContextMenu.Trigger>
      <ContextMenu.Portal>
        <ContextMenu.Content
          className="menu"
          collisionPadding={8}
          onCloseAutoFocus={(event) => event.preventDefault()}
        >
          <ContextItems entries={entries} />
        </ContextMenu.Content>
      </ContextMenu.Portal>
    </ContextMenu.Root>
  );
}
