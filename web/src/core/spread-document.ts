// Spreads the cards and notes of a document that was laid out for other, smaller cards. What belongs together is spread
// first and then moved as one: the members of a frame, which stays around them, and the nodes of what was a subgraph
// (ids `outer:inner`), which took the place of a single node in the author's layout.

import type { Bounds, GraphDocument, GraphNode, Group, Point } from './document.ts';
import { moveNodes } from './edit.ts';
import type { Size } from './layout.ts';
import { type Box, spread } from './spread.ts';

/** Room in a frame: around its members, and above them for its title. */
const SIDE = 16;
const TOP = 48;

interface Part {
  box: Box;
  parts: Part[];
  /** How far it is moved within what it belongs to. */
  shift: Point;
  /** The node or the group that it is; neither for what was a subgraph. */
  node?: string;
  group?: number;
}

const part = (box: Box, is: Pick<Part, 'node' | 'group'> = {}): Part => ({
  box,
  parts: [],
  shift: [0, 0],
  ...is,
});

/** The document without overlaps; the same one where there are none. */
export function spreadDocument(doc: GraphDocument, sizeOf: (node: GraphNode) => Size): GraphDocument {
  const root = part({ x: 0, y: 0, width: 0, height: 0 });
  root.parts = tree(doc, sizeOf);
  settle(root);
  const positions = new Map<string, Point>();
  const groups = [...doc.groups];
  place(root, [0, 0], positions, groups);
  const moved = moveNodes(doc, positions);
  return groups.every((group, index) => group === doc.groups[index]) ? moved : { ...moved, groups };
}

function tree(doc: GraphDocument, sizeOf: (node: GraphNode) => Size): Part[] {
  const boxes = doc.groups.map((group, index) => part(boxOf(group.bounds), { group: index }));
  const isNote = ({ group }: Part) => group !== undefined && doc.groups[group]?.text != null;
  // From the smallest on: the first frame that holds something is the one it belongs to.
  const frames = boxes.filter((each) => !isNote(each)).sort((a, b) => area(a.box) - area(b.box));
  const roots: Part[] = [];
  const put = (each: Part, x: number, y: number, from = 0) => {
    const frame = frames.slice(from).find(({ box }) => holds(box, x, y));
    (frame?.parts ?? roots).push(each);
  };

  const blocks = new Map<string, Part>();
  const block = (path: string): Part => {
    const known = blocks.get(path);
    if (known) return known;
    const made = part({ x: 0, y: 0, width: 0, height: 0 });
    blocks.set(path, made);
    const outer = outerOf(path);
    if (outer !== null) block(outer).parts.push(made);
    return made;
  };

  for (const node of Object.values(doc.nodes)) {
    if (!node.pos) continue;
    const [x, y] = node.pos;
    const card = part({ x, y, ...sizeOf(node) }, { node: node.id });
    const outer = outerOf(node.id);
    if (outer === null) put(card, x, y);
    else block(outer).parts.push(card);
  }
  for (const [path, each] of blocks) {
    if (outerOf(path) !== null) continue;
    const { x, y } = around(leaves(each));
    put(each, x, y);
  }
  for (const note of boxes.filter(isNote)) put(note, note.box.x, note.box.y);
  for (const [index, frame] of frames.entries()) {
    const { x, y, width, height } = frame.box;
    put(frame, x + width / 2, y + height / 2, index + 1);
  }
  return roots;
}

const boxOf = ([x, y, width, height]: Bounds): Box => ({ x, y, width, height });
const area = ({ width, height }: Box): number => width * height;
const holds = (box: Box, x: number, y: number): boolean =>
  x >= box.x && x < box.x + box.width && y >= box.y && y < box.y + box.height;

/** The path of the subgraph that a node or a subgraph lay in; null for the workflow itself. */
function outerOf(id: string): string | null {
  const end = id.lastIndexOf(':');
  return end > 0 ? id.slice(0, end) : null;
}

const leaves = (each: Part): Box[] => (each.parts.length > 0 ? each.parts.flatMap(leaves) : [each.box]);

function around(boxes: readonly Box[]): Box {
  const x = Math.min(...boxes.map((box) => box.x));
  const y = Math.min(...boxes.map((box) => box.y));
  const right = Math.max(...boxes.map((box) => box.x + box.width));
  const bottom = Math.max(...boxes.map((box) => box.y + box.height));
  return { x, y, width: right - x, height: bottom - y };
}

/** Spreads the parts of a part, innermost first, and makes it as large as that takes. */
function settle(whole: Part): void {
  if (whole.parts.length === 0) return;
  for (const each of whole.parts) settle(each);
  const corners = spread(whole.parts.map((each) => each.box));
  const boxes = whole.parts.map((each, index): Box => {
    const [x, y] = corners[index] ?? [each.box.x, each.box.y];
    each.shift = [x - each.box.x, y - each.box.y];
    return { ...each.box, x, y };
  });
  const inner = around(boxes);
  if (whole.group === undefined) whole.box = inner;
  else {
    const { x, y, width, height } = inner;
    const room = { x: x - SIDE, y: y - TOP, width: width + 2 * SIDE, height: height + TOP + SIDE };
    whole.box = around([whole.box, room]);
  }
}

/** Writes down where everything lies in the end: each part moves with all that it belongs to. */
function place(whole: Part, [dx, dy]: Point, positions: Map<string, Point>, groups: Group[]): void {
  const shift: Point = [dx + whole.shift[0], dy + whole.shift[1]];
  const { x, y, width, height } = whole.box;
  const at: Point = [Math.round(x + shift[0]), Math.round(y + shift[1])];
  if (whole.node !== undefined) positions.set(whole.node, at);
  const group = whole.group === undefined ? undefined : groups[whole.group];
  if (group && whole.group !== undefined) {
    const bounds: Bounds = [...at, Math.round(width), Math.round(height)];
    if (bounds.some((value, index) => value !== group.bounds[index]))
      groups[whole.group] = { ...group, bounds };
  }
  for (const each of whole.parts) place(each, shift, positions, groups);
}
