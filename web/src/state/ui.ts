// What is open on the page besides the document: panels, palette, dialogs, toasts.

import { create } from 'zustand';
import type { OutputFile } from '../core/run.ts';
import type { LooseEnd } from '../core/types.ts';

export type LeftPanel = 'nodes' | 'templates' | 'queue' | null;

export interface PaletteRequest {
  /** Where the palette opens, in page pixels. */
  x: number;
  y: number;
  /** The link end that the chosen node will be plugged into. */
  loose: LooseEnd | null;
  /** The input that the chosen node is to feed: it is put into the middle of a link. */
  into?: { node: string; input: string; type: string };
}

interface Toast {
  id: number;
  kind: 'info' | 'success' | 'error';
  text: string;
  detail: string;
  action: ToastAction | null;
}

/** What can be done about a message, as a button on it. */
interface ToastAction {
  label: string;
  run: () => void;
}

export interface LightboxItem {
  file: OutputFile;
  job: string | null;
}

interface UiState {
  left: LeftPanel;
  gallery: boolean;
  problemsOpen: boolean;
  palette: PaletteRequest | null;
  shortcuts: boolean;
  lightbox: LightboxItem | null;
  renaming: string | null;
  /** The note that is being written, by its place among the groups. */
  writing: number | null;
  toasts: Toast[];
  /** How many there were: the number of the latest. */
  toastCount: number;
  /** What was copied last, for browsers that keep the system clipboard from pages. */
  copied: string;
  /** A short sentence shown beside the pointer (why a link is refused). */
  hint: { x: number; y: number; text: string } | null;
}

/** On a wide window there is room for the gallery from the start. */
const ROOM_FOR_GALLERY = 1600;

export const useUi = create<UiState>()(() => ({
  left: null,
  gallery: typeof window !== 'undefined' && window.innerWidth >= ROOM_FOR_GALLERY,
  problemsOpen: false,
  palette: null,
  shortcuts: false,
  lightbox: null,
  renaming: null,
  writing: null,
  toasts: [],
  toastCount: 0,
  copied: '',
  hint: null,
}));

const TOAST_LIMIT = 4;

export function toast(
  kind: Toast['kind'],
  text: string,
  detail = '',
  action: ToastAction | null = null,
): void {
  useUi.setState(({ toasts, toastCount }) => {
    const id = toastCount + 1;
    return { toasts: [...toasts, { id, kind, text, detail, action }].slice(-TOAST_LIMIT), toastCount: id };
  });
}

export function dismissToast(id: number): void {
  useUi.setState((state) => ({ toasts: state.toasts.filter((each) => each.id !== id) }));
}

export function togglePanel(panel: Exclude<LeftPanel, null>): void {
  useUi.setState((state) => ({ left: state.left === panel ? null : panel }));
}
