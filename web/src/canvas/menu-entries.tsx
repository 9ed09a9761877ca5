// The entries of the canvas's context menus.

import {
  ClipboardPaste,
  Copy,
  CopyPlus,
  EyeOff,
  FoldVertical,
  Group,
  Maximize,
  Pencil,
  Plus,
  Redo2,
  Scissors,
  SquareDashedMousePointer,
  StickyNote,
  Trash2,
  Ungroup,
  Workflow,
} from 'lucide-react';
import type { Point } from '../core/document.ts';
import { changeGroup, disconnect, dissolveNode, removeGroup } from '../core/edit.ts';
import { t } from '../i18n/index.ts';
import { catalogueNow } from '../state/catalogue.ts';
import { useGraph } from '../state/graph.ts';
import { report } from '../state/report.ts';
import {
  addNote,
  collapseSelection,
  colourSelection,
  copyToClipboard,
  deleteSelection,
  duplicateSelection,
  groupSelection,
  muteSelection,
  pasteFromClipboard,
  renameSelection,
  selectAll,
} from '../state/selection.ts';
import { useUi } from '../state/ui.ts';
import { MOD } from '../ui/keys.ts';
import type { MenuEntry } from '../ui/Menu.tsx';
import { looseEnd } from './loose-end.ts';

const SIZE = 14;

/** Middle tones, which the header mixes with its own so that the title stays readable in both themes. */
const COLOURS: readonly [name: string, value: string | null][] = [
  ['none', null],
  ['red', '#e5484d'],
  ['orange', '#e8833a'],
  ['yellow', '#d6a520'],
  ['green', '#3fa45b'],
  ['teal', '#12a594'],
  ['blue', '#3b82f6'],
  ['violet', '#8e5cf0'],
  ['pink', '#d6569f'],
];

const colours = () => COLOURS.map(([name, value]) => ({ name: t(`colour.${name}`), value }));

const copyEntries = (): MenuEntry[] => [
  {
    label: t('node.duplicate'),
    icon: <CopyPlus size={SIZE} />,
    keys: `${MOD}D`,
    onSelect: duplicateSelection,
  },
  {
    label: t('node.copy'),
    icon: <Copy size={SIZE} />,
    keys: `${MOD}C`,
    onSelect: () => report(copyToClipboard()),
  },
];

export function nodeEntries(id: string): MenuEntry[] {
  const node = useGraph.getState().doc.nodes[id];
  return [
    {
      label: t('node.rename'),
      icon: <Pencil size={SIZE} />,
      keys: 'F2',
      onSelect: () => setTimeout(renameSelection),
    },
    ...copyEntries(),
    'separator',
    {
      label: t('node.mute'),
      icon: <EyeOff size={SIZE} />,
      keys: 'M',
      checked: node?.mode === 'mute',
      onSelect: () => muteSelection('mute'),
    },
    {
      label: t('node.bypass'),
      icon: <Redo2 size={SIZE} />,
      keys: 'B',
      checked: node?.mode === 'bypass',
      onSelect: () => muteSelection('bypass'),
    },
    {
      label: t(node?.collapsed ? 'node.expand' : 'node.collapse'),
      icon: <FoldVertical size={SIZE} />,
      keys: 'C',
      onSelect: collapseSelection,
    },
    { label: t('canvas.group'), icon: <Group size={SIZE} />, keys: `${MOD}G`, onSelect: groupSelection },
    'separator',
    {
      label: t('node.colour'),
      colours: colours(),
      chosen: node?.color ?? null,
      onSelect: colourSelection,
    },
    'separator',
    {
      label: t('node.dissolve'),
      icon: <Scissors size={SIZE} />,
      onSelect: () => useGraph.getState().edit((doc) => dissolveNode(doc, catalogueNow(), id)),
    },
    {
      label: t('node.delete'),
      icon: <Trash2 size={SIZE} />,
      keys: 'Del',
      danger: true,
      onSelect: deleteSelection,
    },
  ];
}

export function linkEntries(edge: string, page: { x: number; y: number }): MenuEntry[] {
  const link = useGraph.getState().edges.find((each) => each.id === edge);
  if (!link) return [];
  const input = link.data?.input ?? '';
  const into = { node: link.target, input, type: looseEnd(link.target, 'input', input).type };
  const loose = looseEnd(link.source, 'output', link.data?.output ?? 0);
  return [
    {
      label: t('link.insert'),
      icon: <Plus size={SIZE} />,
      onSelect: () => setTimeout(() => useUi.setState({ palette: { ...page, loose, into } })),
    },
    {
      label: t('link.delete'),
      icon: <Trash2 size={SIZE} />,
      danger: true,
      onSelect: () => useGraph.getState().edit((doc) => disconnect(doc, link.target, input)),
    },
  ];
}

function groupColours(index: number): MenuEntry {
  const { doc, edit } = useGraph.getState();
  return {
    label: t('node.colour'),
    colours: colours(),
    chosen: doc.groups[index]?.color ?? null,
    onSelect: (color) => edit((now) => changeGroup(now, index, { color })),
  };
}

export function frameEntries(index: number): MenuEntry[] {
  return [
    ...copyEntries(),
    'separator',
    groupColours(index),
    'separator',
    {
      label: t('canvas.ungroup'),
      icon: <Ungroup size={SIZE} />,
      danger: true,
      onSelect: () => useGraph.getState().edit((doc) => removeGroup(doc, index)),
    },
  ];
}

export function noteEntries(index: number): MenuEntry[] {
  return [
    {
      label: t('note.edit'),
      icon: <Pencil size={SIZE} />,
      keys: 'F2',
      onSelect: () => setTimeout(() => useUi.setState({ writing: index })),
    },
    ...copyEntries(),
    'separator',
    groupColours(index),
    'separator',
    {
      label: t('node.delete'),
      icon: <Trash2 size={SIZE} />,
      keys: 'Del',
      danger: true,
      onSelect: deleteSelection,
    },
  ];
}

interface CanvasPlace {
  page: { x: number; y: number };
  at: Point;
  arrange: () => void;
  fit: () => void;
}

export function canvasEntries({ page, at, arrange, fit }: CanvasPlace): MenuEntry[] {
  return [
    {
      label: t('canvas.addNode'),
      icon: <Plus size={SIZE} />,
      keys: '/',
      onSelect: () => setTimeout(() => useUi.setState({ palette: { ...page, loose: null } })),
    },
    {
      label: t('canvas.addNote'),
      icon: <StickyNote size={SIZE} />,
      keys: 'N',
      onSelect: () => setTimeout(() => addNote(at)),
    },
    {
      label: t('canvas.paste'),
      icon: <ClipboardPaste size={SIZE} />,
      keys: `${MOD}V`,
      onSelect: () => report(pasteFromClipboard(at)),
    },
    'separator',
    {
      label: t('canvas.selectAll'),
      icon: <SquareDashedMousePointer size={SIZE} />,
      keys: `${MOD}A`,
      onSelect: selectAll,
    },
    { label: t('canvas.arrange'), icon: <Workflow size={SIZE} />, keys: 'L', onSelect: arrange },
    { label: t('canvas.fit'), icon: <Maximize size={SIZE} />, keys: 'F', onSelect: fit },
  ];
}
