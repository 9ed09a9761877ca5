// The canvas: React Flow over the document's nodes and links.

import {
  Background,
  BackgroundVariant,
  ConnectionMode,
  type EdgeTypes,
  type NodeTypes,
  ReactFlow,
  SelectionMode,
} from '@xyflow/react';
import { type DragEvent, type MouseEvent, useMemo } from 'react';
import { NodeCard } from '../nodes/NodeCard.tsx';
import type { FlowEdge, FlowNode } from '../state/flow.ts';
import { LARGE_GRAPH, useGraph } from '../state/graph.ts';
import { useSettings } from '../state/settings.ts';
import { useUi } from '../state/ui.ts';
import { addFromCatalogue, NODE_MIME } from './add-node.ts';
import { CanvasMenu } from './CanvasMenu.tsx';
import { CanvasTools } from './CanvasTools.tsx';
import { ConnectionLine } from './ConnectionLine.tsx';
import { EmptyCanvas } from './EmptyCanvas.tsx';
import { Frame } from './Frame.tsx';
import { LinkEdge } from './LinkEdge.tsx';
import { Note } from './Note.tsx';
import { Overview } from './Overview.tsx';
import { useConnect } from './use-connect.ts';
import { useFitOnLoad } from './use-fit-on-load.ts';
import { useFlowPoint } from './use-flow-point.ts';

const NODE_TYPES: NodeTypes = { card: NodeCard, frame: Frame, note: Note };
const EDGE_TYPES: EdgeTypes = { link: LinkEdge };
const GRID: [number, number] = [8, 8];
const ADD_TO_SELECTION = ['Meta', 'Control', 'Shift'];

export function Canvas() {
  const nodes = useGraph((state) => state.nodes);
  const edges = useGraph((state) => state.edges);
  const onNodesChange = useGraph((state) => state.onNodesChange);
  const onEdgesChange = useGraph((state) => state.onEdgesChange);
  const snap = useSettings((state) => state.snap);
  const connecting = useConnect();
  const flowPoint = useFlowPoint();
  const onMoved = useFitOnLoad();

  const onDoubleClick = (event: MouseEvent) => {
    if (!(event.target as Element).classList.contains('react-flow__pane')) return;
    useUi.setState({ palette: { x: event.clientX, y: event.clientY, loose: null } });
  };
  const onDragOver = (event: DragEvent) => {
    if (!event.dataTransfer.types.includes(NODE_MIME)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
  };
  const onDrop = (event: DragEvent) => {
    const id = event.dataTransfer.getData(NODE_MIME);
    if (!id) return;
    event.preventDefault();
    addFromCatalogue(id, flowPoint(event.clientX, event.clientY), null);
  };
  const ariaLabels = useMemo(() => ({ 'minimap.ariaLabel': '' }), []);

  return (
    <CanvasMenu>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the same actions are on the keyboard and in the menus */}
      <div className="canvas" onDoubleClick={onDoubleClick} onDragOver={onDragOver} onDrop={onDrop}>
        <ReactFlow<FlowNode, FlowEdge>
          nodes={nodes}
          edges={edges}
          nodeTypes={NODE_TYPES}
          edgeTypes={EDGE_TYPES}
          onNodesChange={onNodesChange}
          onEdgesChange={onEdgesChange}
          {...connecting}
          onMoveStart={onMoved}
          connectionMode={ConnectionMode.Strict}
          connectionLineComponent={ConnectionLine}
          connectionRadius={28}
          reconnectRadius={12}
          selectionMode={SelectionMode.Partial}
          selectionKeyCode="Shift"
          multiSelectionKeyCode={ADD_TO_SELECTION}
          deleteKeyCode={null}
          zoomOnDoubleClick={false}
          minZoom={0.05}
          maxZoom={2}
          snapToGrid={snap}
          snapGrid={GRID}
          onlyRenderVisibleElements={nodes.length > LARGE_GRAPH}
          elevateNodesOnSelect
          proOptions={{ hideAttribution: true }}
          ariaLabelConfig={ariaLabels}
        >
          <Background variant={BackgroundVariant.Dots} gap={24} size={1.5} />
          <CanvasTools />
          <Overview />
        </ReactFlow>
        <EmptyCanvas />
      </div>
    </CanvasMenu>
  );
}
