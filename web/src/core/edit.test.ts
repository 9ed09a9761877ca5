// Holds what each edit does to a document, and that an edit that changes nothing gives the same document back.

import { expect, test } from 'vitest';
import { findSpec } from './catalogue.ts';
import {
  addGroup,
  addNode,
  changeGroup,
  connect,
  disconnect,
  dissolveNode,
  moveGroups,
  moveNodes,
  removeGroup,
  removeNodes,
  renameNode,
  setValue,
  toggleCollapsed,
  toggleMode,
} from './edit.ts';
import { catalogue, sampleDocument } from './testing.ts';

const doc = sampleDocument();

test('a new node gets the next free id and the defaults of its inputs', () => {
  const spec = findSpec(catalogue, 'KSampler');
  if (!spec) throw new Error('no KSampler');
  const added = addNode(doc, spec, [10, 20]);
  expect(added.id).toBe('7');
  expect(added.doc.nodes['7']).toMatchObject({
    classType: 'KSampler',
    values: { seed: 0, cfg: 8 },
    pos: [10, 20],
    seedControl: { seed: 'randomize' },
  });
  expect(doc.nodes['7']).toBeUndefined();
});

test('connecting replaces the link that an input had', () => {
  const next = connect(doc, { source: '6', output: 0, target: '2', input: 'model' });
  expect(next.nodes['2']?.links['model']).toEqual({ node: '6', output: 0 });
  expect(Object.keys(next.nodes['2']?.links ?? {})).toEqual(['model']);
});

test('a literal comes back when its link is unplugged', () => {
  const linked = connect(doc, { source: '6', output: 0, target: '2', input: 'cfg' });
  const back = disconnect(linked, '2', 'cfg');
  expect(back.nodes['2']?.links['cfg']).toBeUndefined();
  expect(back.nodes['2']?.values['cfg']).toBe(8);
});

test('edits that change nothing return the same document', () => {
  expect(setValue(doc, '2', 'cfg', 8)).toBe(doc);
  expect(connect(doc, { source: '1', output: 0, target: '2', input: 'model' })).toBe(doc);
  expect(disconnect(doc, '2', 'seed')).toBe(doc);
  expect(moveNodes(doc, new Map([['1', [0, 0]]]))).toBe(doc);
  expect(removeNodes(doc, ['nobody'])).toBe(doc);
  expect(renameNode(doc, '1', '  ')).toBe(doc);
});

test('an edit leaves the other nodes as they were', () => {
  const next = setValue(doc, '2', 'cfg', 3);
  expect(next.nodes['1']).toBe(doc.nodes['1']);
  expect(next.nodes['2']).not.toBe(doc.nodes['2']);
});

test('removing a node removes the links that came from it', () => {
  const next = removeNodes(doc, ['1']);
  expect(next.nodes['1']).toBeUndefined();
  expect(next.nodes['2']?.links).toEqual({});
  expect(next.nodes['3']?.links).toEqual({ samples: { node: '2', output: 0 } });
});

test('dissolving a node joins what fed it to what it fed', () => {
  const next = dissolveNode(doc, catalogue, '4');
  expect(next.nodes['4']).toBeUndefined();
  expect(next.nodes['5']?.links['images']).toEqual({ node: '3', output: 0 });
});

test('dissolving a node between different types leaves its follower open', () => {
  expect(dissolveNode(doc, catalogue, '3').nodes['4']?.links).toEqual({});
});

test('a mode is set on all, then taken back from all', () => {
  const one = toggleMode(doc, ['1'], 'mute');
  const both = toggleMode(one, ['1', '2'], 'mute');
  expect([both.nodes['1']?.mode, both.nodes['2']?.mode]).toEqual(['mute', 'mute']);
  const none = toggleMode(both, ['1', '2'], 'mute');
  expect([none.nodes['1']?.mode, none.nodes['2']?.mode]).toEqual(['normal', 'normal']);
  expect(toggleMode(one, ['1'], 'bypass').nodes['1']?.mode).toBe('bypass');
});

test('collapsing some collapses all, then expands all', () => {
  const some = toggleCollapsed(doc, ['1']);
  const all = toggleCollapsed(some, ['1', '2']);
  expect([all.nodes['1']?.collapsed, all.nodes['2']?.collapsed]).toEqual([true, true]);
  expect(toggleCollapsed(all, ['1', '2']).nodes['1']?.collapsed).toBe(false);
});

test('groups are added, changed, moved and removed by place', () => {
  const grouped = addGroup(doc, { title: 'A', bounds: [0, 0, 10, 10], color: null, text: null });
  const named = changeGroup(grouped, 0, { title: 'B' });
  expect(named.groups).toEqual([{ title: 'B', bounds: [0, 0, 10, 10], color: null, text: null }]);
  expect(changeGroup(named, 0, { title: 'B', bounds: [0, 0, 10, 10] })).toBe(named);
  expect(moveGroups(named, new Map([[0, [5, 6]]])).groups[0]?.bounds).toEqual([5, 6, 10, 10]);
  expect(moveGroups(named, new Map([[0, [0, 0]]]))).toBe(named);
  expect(removeGroup(named, 0).groups).toEqual([]);
});
