// Holds how the open document, its history and its drawing keep together.

import { beforeEach, expect, test } from 'vitest';
import { EMPTY_DOCUMENT } from '../core/document.ts';
import { addGroup, removeNodes, setValue } from '../core/edit.ts';
import { emptyHistory } from '../core/history.ts';
import { sampleDocument } from '../core/testing.ts';
import { selectedIds, useGraph } from './graph.ts';

const graph = () => useGraph.getState();
const drawn = (id: string) => graph().nodes.find((node) => node.id === id);

beforeEach(() => {
  useGraph.setState({ doc: EMPTY_DOCUMENT, nodes: [], edges: [], history: emptyHistory() });
  graph().load(sampleDocument(), 'Sample');
});

test('loading draws every node and link, and cannot be undone into nothing', () => {
  expect(graph().nodes).toHaveLength(6);
  expect(
    graph()
      .edges.map((edge) => edge.id)
      .sort(),
  ).toEqual(['2/model', '3/samples', '3/vae', '4/image', '5/images']);
  expect(graph().history.past).toEqual([]);
});

test('an edit redraws only what it touches', () => {
  const before = graph().nodes;
  graph().edit((doc) => setValue(doc, '2', 'cfg', 3));
  expect(graph().nodes.every((node, index) => node === before[index])).toBe(true);
  graph().undo();
  expect(graph().doc.nodes['2']?.values['cfg']).toBe(8);
  graph().redo();
  expect(graph().doc.nodes['2']?.values['cfg']).toBe(3);
});

test('moves become a step when they end, not while they last', () => {
  graph().onNodesChange([{ type: 'position', id: '2', position: { x: 50, y: 60 }, dragging: true }]);
  expect(drawn('2')?.position).toEqual({ x: 50, y: 60 });
  expect(graph().history.past).toHaveLength(0);
  graph().onNodesChange([{ type: 'position', id: '2', position: { x: 70, y: 80 }, dragging: false }]);
  expect(graph().doc.nodes['2']?.pos).toEqual([70, 80]);
  graph().undo();
  expect(drawn('2')?.position).toEqual({ x: 300, y: 0 });
});

test('moving a frame moves its bounds', () => {
  graph().edit((doc) => addGroup(doc, { title: 'G', bounds: [0, 0, 100, 80], color: null, text: null }));
  graph().onNodesChange([{ type: 'position', id: 'group:0', position: { x: 10, y: 20 }, dragging: false }]);
  expect(graph().doc.groups[0]?.bounds).toEqual([10, 20, 100, 80]);
});

test('an edit keeps the selection, an amendment keeps the history', () => {
  graph().select(['2', '3']);
  graph().edit((doc) => removeNodes(doc, ['3']));
  expect(selectedIds()).toEqual(['2']);
  const steps = graph().history.past.length;
  graph().amend((doc) => setValue(doc, '2', 'seed', 99));
  expect(graph().history.past).toHaveLength(steps);
});

test('opening another document can be undone', () => {
  graph().load({ ...EMPTY_DOCUMENT }, 'Other');
  expect(graph().nodes).toEqual([]);
  graph().undo();
  expect(graph().nodes).toHaveLength(6);
});
