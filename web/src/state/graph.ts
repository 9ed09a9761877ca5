// The open document with its undo history, and the React Flow view of it. Every edit goes through `edit`.

import { applyEdgeChanges, applyNodeChanges, type EdgeChange, type NodeChange } from '@xyflow/react';
import { create } from 'zustand';
import { EMPTY_DOCUMENT, type GraphDocument, isEmpty, type Point } from '../core/document.ts';
import { moveGroups, moveNodes } from '../core/edit.ts';
import { emptyHistory, type History, record, redo, undo } from '../core/history.ts';
import { type FlowEdge, type FlowNode, flowEdges, flowNodes, selectOnly } from './flow.ts';

/** From this many nodes on, only those in view are drawn. */
export const LARGE_GRAPH = 80;

interface GraphState {
  doc: GraphDocument;
  /** What the document is called: a file name without its ending, or a template's title. */
  name: string;
  /** Counts loaded documents: what belongs to an earlier one (a running job's marks) is not shown on this one. */
  epoch: number;
  /** A large document was loaded and is not fitted to the view yet: its cards are drawn as from far away. */
  settling: boolean;
  history: History<GraphDocument>;
  nodes: FlowNode[];
  edges: FlowEdge[];
  /** Replaces the document by an edited one. Steps with the same key in quick succession undo as one. */
  edit: (change: (doc: GraphDocument) => GraphDocument, key?: string) => void;
  /** Like `edit`, but outside the undo history (seeds that advance by themselves). */
  amend: (change: (doc: GraphDocument) => GraphDocument) => void;
  load: (doc: GraphDocument, name: string) => void;
  rename: (name: string) => void;
  undo: () => void;
  redo: () => void;
  select: (ids: Iterable<string>) => void;
  onNodesChange: (changes: NodeChange<FlowNode>[]) => void;
  onEdgesChange: (changes: EdgeChange<FlowEdge>[]) => void;
}

const derived = (doc: GraphDocument, state: Pick<GraphState, 'nodes' | 'edges'>) => ({
  doc,
  nodes: flowNodes(doc, state.nodes),
  edges: flowEdges(doc, state.edges),
});

/** Takes finished moves from React Flow into the document; `nodes` are already where they were dropped. */
function commitMoves(
  doc: GraphDocument,
  nodes: readonly FlowNode[],
  moved: ReadonlySet<string>,
): GraphDocument {
  const positions = new Map<string, Point>();
  const groups = new Map<number, Point>();
  for (const node of nodes) {
    if (!moved.has(node.id)) continue;
    const { x, y } = node.position;
    if (node.type === 'card') positions.set(node.id, [x, y]);
    else groups.set(node.data.index, [x, y]);
  }
  return moveNodes(moveGroups(doc, groups), positions);
}

export const useGraph = create<GraphState>()((set, get) => ({
  doc: EMPTY_DOCUMENT,
  name: '',
  epoch: 0,
  settling: false,
  history: emptyHistory(),
  nodes: [],
  edges: [],

  edit: (change, key) =>
    set((state) => {
      const doc = change(state.doc);
      if (doc === state.doc) return state;
      return { ...derived(doc, state), history: record(state.history, state.doc, key ?? null, Date.now()) };
    }),

  amend: (change) =>
    set((state) => {
      const doc = change(state.doc);
      return doc === state.doc ? state : derived(doc, state);
    }),

  load: (doc, name) =>
    set((state) => ({
      ...derived(doc, { nodes: [], edges: [] }),
      name,
      epoch: state.epoch + 1,
      settling: Object.keys(doc.nodes).length > LARGE_GRAPH,
      history: isEmpty(state.doc) ? emptyHistory() : record(state.history, state.doc, null, 0),
    })),

  rename: (name) => set({ name }),

  undo: () =>
    set((state) => {
      const step = undo(state.history, state.doc);
      return step ? { ...derived(step.present, state), history: step.history } : state;
    }),

  redo: () =>
    set((state) => {
      const step = redo(state.history, state.doc);
      return step ? { ...derived(step.present, state), history: step.history } : state;
    }),

  select: (ids) => set((state) => ({ nodes: selectOnly(state.nodes, new Set(ids)) })),

  onNodesChange: (changes) => {
    const kept = changes.filter((change) => change.type !== 'remove');
    if (kept.length === 0) return;
    set((state) => ({ nodes: applyNodeChanges(kept, state.nodes) }));
    const moved = new Set<string>();
    for (const change of kept)
      if (change.type === 'position' && change.dragging === false) moved.add(change.id);
    if (moved.size > 0) get().edit((doc) => commitMoves(doc, get().nodes, moved), 'move');
  },

  onEdgesChange: (changes) => {
    const kept = changes.filter((change) => change.type !== 'remove');
    if (kept.length > 0) set((state) => ({ edges: applyEdgeChanges(kept, state.edges) }));
  },
}));

/** Ids of the selected nodes, frames and notes left out. */
export function selectedIds(state: Pick<GraphState, 'nodes'> = useGraph.getState()): string[] {
  return state.nodes.filter((node) => node.selected && node.type === 'card').map((node) => node.id);
}
