// What can be done to the selected nodes, frames and notes, for keys and menus alike.

import { copySelected, pasteCopied, readClipboard, type Selection } from '../core/clipboard.ts';
import type { Bounds, Point } from '../core/document.ts';
import {
  addGroup,
  colourNodes,
  disconnect,
  removeGroup,
  removeNodes,
  toggleCollapsed,
  toggleMode,
} from '../core/edit.ts';
import { t } from '../i18n/index.ts';
import { groupId } from './flow.ts';
import { selectedIds, useGraph } from './graph.ts';
import { toast, useUi } from './ui.ts';

const GROUP_MARGIN = 24;
const GROUP_TITLE = 40;
const NOTE_SIZE: Point = [280, 160];

/** Indices of the selected frames and notes. */
const selectedGroups = (): number[] =>
  useGraph
    .getState()
    .nodes.flatMap((node) => (node.selected && node.type !== 'card' ? [node.data.index] : []));

const selection = (): Selection => ({ nodes: selectedIds(), groups: selectedGroups() });

/** The selection as text, which is kept as well; null when nothing is selected. */
export function copySelection(): string | null {
  const selected = selection();
  if (selected.nodes.length + selected.groups.length === 0) return null;
  const copied = copySelected(useGraph.getState().doc, selected);
  useUi.setState({ copied });
  return copied;
}

/** Copies through the clipboard API, for menus; the keys use the browser's own copy event. */
export async function copyToClipboard(): Promise<void> {
  const { nodes, groups } = selection();
  const text = copySelection();
  if (!text) return;
  toast('info', t('canvas.copied', { count: nodes.length + groups.length }));
  // Without permission (or on plain http) the copy stays within this page.
  await navigator.clipboard?.writeText(text).catch(() => undefined);
}

/** Pastes at a point, or beside what was copied. */
export function paste(text: string, at: Point | null): boolean {
  const copied = readClipboard(text || useUi.getState().copied);
  if (!copied) return false;
  const { doc, edit, select } = useGraph.getState();
  const { doc: next, pasted } = pasteCopied(doc, copied, at);
  edit(() => next);
  select([...pasted.nodes, ...pasted.groups.map(groupId)]);
  return true;
}

export async function pasteFromClipboard(at: Point): Promise<void> {
  // Without permission there is what was copied within this page.
  const text = (await navigator.clipboard?.readText().catch(() => '')) ?? '';
  if (!paste(readClipboard(text) ? text : '', at)) toast('info', t('canvas.nothingToPaste'));
}

export function duplicateSelection(): void {
  const selected = selection();
  if (selected.nodes.length + selected.groups.length > 0)
    paste(copySelected(useGraph.getState().doc, selected), null);
}

/** Deletes selected nodes, links, frames and notes as one step. */
export function deleteSelection(): void {
  const { edges, edit, select } = useGraph.getState();
  const { nodes, groups } = selection();
  const links = edges.filter((edge) => edge.selected);
  // Groups are known by their place: what moves up into the place of one that goes was not selected.
  select([]);
  edit((doc) => {
    let next = removeNodes(doc, nodes);
    for (const edge of links) next = disconnect(next, edge.target, edge.data?.input ?? '');
    for (const index of groups.toSorted((a, b) => b - a)) next = removeGroup(next, index);
    return next;
  });
}

export function muteSelection(mode: 'mute' | 'bypass'): void {
  const ids = selectedIds();
  if (ids.length > 0) useGraph.getState().edit((doc) => toggleMode(doc, ids, mode));
}

export function collapseSelection(): void {
  const ids = selectedIds();
  if (ids.length > 0) useGraph.getState().edit((doc) => toggleCollapsed(doc, ids));
}

export function colourSelection(color: string | null): void {
  useGraph.getState().edit((doc) => colourNodes(doc, selectedIds(), color));
}

/** Opens the title of the selected node, or the selected note, for typing. */
export function renameSelection(): void {
  const { nodes } = useGraph.getState();
  const node = nodes.find((each) => each.selected && each.type !== 'frame');
  if (node?.type === 'card') useUi.setState({ renaming: node.id });
  if (node?.type === 'note') useUi.setState({ writing: node.data.index });
}

export function selectAll(): void {
  const { nodes, select } = useGraph.getState();
  select(nodes.map((node) => node.id));
}

/** Puts an empty note on the canvas, ready to be written. */
export function addNote([x, y]: Point): void {
  const { edit, select } = useGraph.getState();
  const bounds: Bounds = [Math.round(x), Math.round(y), ...NOTE_SIZE];
  edit((doc) => addGroup(doc, { title: '', bounds, color: null, text: '' }));
  const index = useGraph.getState().doc.groups.length - 1;
  select([groupId(index)]);
  useUi.setState({ writing: index });
}

/** Draws a frame around the selected nodes. */
export function groupSelection(): void {
  const boxes = useGraph.getState().nodes.filter((node) => node.selected && node.type === 'card');
  if (boxes.length === 0) return;
  const left = Math.min(...boxes.map((node) => node.position.x));
  const top = Math.min(...boxes.map((node) => node.position.y));
  const right = Math.max(
    ...boxes.map((node) => node.position.x + (node.measured?.width ?? node.initialWidth ?? 0)),
  );
  const bottom = Math.max(
    ...boxes.map((node) => node.position.y + (node.measured?.height ?? node.initialHeight ?? 0)),
  );
  useGraph.getState().edit((doc) =>
    addGroup(doc, {
      title: t('canvas.groupTitle'),
      color: null,
      text: null,
      bounds: [
        left - GROUP_MARGIN,
        top - GROUP_MARGIN - GROUP_TITLE,
        right - left + 2 * GROUP_MARGIN,
        bottom - top + 2 * GROUP_MARGIN + GROUP_TITLE,
      ],
    }),
  );
}
