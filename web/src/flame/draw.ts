// Draws the visible part of a tree, and tells which node is where.

import type { Tree } from "../model/tree";
import type { Palette } from "./color";

export const ROW_PX = 20;
/** Narrower frames are drawn together with their neighbours. */
const WIDTH_MIN_PX = 0.6;
/** Narrower frames have no text. */
const TEXT_WIDTH_MIN_PX = 26;
const FONT = '12px ui-monospace, "SF Mono", "Cascadia Mono", "Liberation Mono", Menlo, monospace';

/** What of a tree is looked at. */
export interface Window {
  /** Left and right edge in the unit of the tree's weights. */
  from: number;
  to: number;
  /** Pixels above the picture. */
  scroll: number;
  width: number;
  height: number;
  /** Whether the root is at the bottom. */
  isUp: boolean;
}

export interface Look {
  index: Uint16Array;
  list: string[];
  palette: Palette;
  found: Uint8Array | undefined;
  /** Nodes of equal name are marked with the one under the pointer. */
  hover: number;
  selected: number;
}

/** Height of a whole tree. */
export function heightOf(tree: Tree): number {
  return (tree.depthMax + 1) * ROW_PX;
}

/** Top edge of a row in the window. */
function topOf(depth: number, tree: Tree, window: Window): number {
  const row = window.isUp ? tree.depthMax - depth : depth;
  return row * ROW_PX - window.scroll;
}

let charWidth = 0;

/** Calls back for each node that is wide enough to see, parents first; the rest is skipped whole. */
function visible(tree: Tree, window: Window, see: (node: number, x: number, width: number) => void): void {
  const { from, to, width } = window;
  const scale = width / (to - from || 1);
  const deepest = window.isUp ? Infinity : Math.ceil((window.scroll + window.height) / ROW_PX);
  for (let i = 0; i < tree.size; ) {
    const left = tree.left[i]!;
    const weight = tree.weight[i]!;
    if (left + weight <= from || left >= to || weight * scale < WIDTH_MIN_PX || tree.depth[i]! > deepest) {
      i = tree.end[i]!;
      continue;
    }
    const x = Math.max(0, (left - from) * scale);
    see(i, x, Math.min(width, (left + weight - from) * scale) - x);
    i++;
  }
}

/** Draws what is visible; says how many frames that was. */
export function draw(context: CanvasRenderingContext2D, tree: Tree, window: Window, look: Look): number {
  const { palette } = look;
  const ratio = devicePixelRatio;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, window.width, window.height);
  context.font = FONT;
  context.textBaseline = "middle";
  charWidth ||= context.measureText("MMMMMMMMMM").width / 10;
  const texts: [number, number, number, number][] = [];
  let drawn = 0;
  let fill = "";
  visible(tree, window, (node, x, width) => {
    const y = topOf(tree.depth[node]!, tree, window);
    if (y + ROW_PX < 0 || y > window.height) return;
    drawn++;
    const color = colorOf(tree, node, look);
    if (color !== fill) context.fillStyle = fill = color;
    context.fillRect(x, y, Math.max(WIDTH_MIN_PX, width - 1), ROW_PX - 1);
    if (width >= TEXT_WIDTH_MIN_PX) texts.push([node, x, y, width]);
  });
  for (const [node, x, y, width] of texts) write(context, tree, node, x, y, width, look);
  outline(context, tree, window, look.selected, palette.isDark ? "#fff" : "#000");
  return drawn;
}

function colorOf(tree: Tree, node: number, look: Look): string {
  if (look.found?.[node]) return look.palette.found;
  if (look.found && node !== 0) return look.palette.dim;
  if (look.hover > 0 && tree.name[node] === tree.name[look.hover]) return look.palette.isDark ? "#ffe9c7" : "#ffd27a";
  return look.list[look.index[node]!]!;
}

/** Writes as much of a name as fits. */
function write(
  context: CanvasRenderingContext2D,
  tree: Tree,
  node: number,
  x: number,
  y: number,
  width: number,
  look: Look,
): void {
  const name = tree.strings[tree.name[node]!]!;
  const fits = Math.floor((width - 9) / charWidth);
  if (fits < 2) return;
  const isDim = look.found !== undefined && !look.found[node] && node !== 0;
  context.fillStyle = isDim ? look.palette.dimText : look.palette.text;
  context.fillText(name.length <= fits ? name : `${name.slice(0, fits - 1)}…`, x + 4, y + ROW_PX / 2);
}

function outline(context: CanvasRenderingContext2D, tree: Tree, window: Window, node: number, color: string): void {
  if (node < 0) return;
  const scale = window.width / (window.to - window.from || 1);
  const x = Math.max(0, (tree.left[node]! - window.from) * scale);
  const right = Math.min(window.width, (tree.left[node]! + tree.weight[node]! - window.from) * scale);
  if (right <= 0 || x >= window.width) return;
  context.strokeStyle = color;
  context.lineWidth = 1.5;
  const y = topOf(tree.depth[node]!, tree, window);
  context.strokeRect(x + 0.75, y + 0.25, Math.max(1, right - x - 2), ROW_PX - 1.5);
}

/** The node at a place of the window; `-1` for none. */
export function nodeUnder(tree: Tree, window: Window, x: number, y: number): number {
  const row = Math.floor((y + window.scroll) / ROW_PX);
  const depth = window.isUp ? tree.depthMax - row : row;
  if (depth < 0 || depth > tree.depthMax) return -1;
  const at = window.from + (x / window.width) * (window.to - window.from);
  let node = 0;
  while (tree.depth[node]! < depth) {
    let child = node + 1;
    while (child < tree.end[node]! && tree.left[child]! + tree.weight[child]! <= at) child = tree.end[child]!;
    if (child >= tree.end[node]! || tree.left[child]! > at) return -1;
    node = child;
  }
  return node;
}
