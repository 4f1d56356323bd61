// Colours of frames: by what they are, by where they are, by how they changed.

import { FrameKind } from "../api/generated";
import type { Tree } from "../model/tree";

export type ColorBy = "kind" | "module" | "change";

export interface Palette {
  isDark: boolean;
  text: string;
  dimText: string;
  dim: string;
  found: string;
  root: string;
  line: string;
}

const LIGHT: Palette = {
  isDark: false,
  text: "#1d1a16",
  dimText: "#756f66",
  dim: "#e9e6e0",
  found: "#c77dff",
  root: "#dcd8d0",
  line: "#fbfaf8",
};

const DARK: Palette = {
  isDark: true,
  text: "#14110d",
  dimText: "#a09c96",
  dim: "#2b2a2d",
  found: "#d49bff",
  root: "#8b8680",
  line: "#17171a",
};

export function palette(isDark: boolean): Palette {
  return isDark ? DARK : LIGHT;
}

/** Shades of one hue; which one a frame gets depends on its name. */
const SHADES = 7;

function shades(hue: number, saturation: number, isDark: boolean): string[] {
  return Array.from({ length: SHADES }, (_, i) => {
    const lightness = (isDark ? 56 : 66) + (i - 3) * 2.1;
    return `hsl(${hue + (i - 3) * 2.6} ${saturation}% ${lightness}%)`;
  });
}

/** Parts of the key of a table, such as an errno: a kind that daemons of later releases send. */
const TABLE = 5;

const HUES: Record<number, [number, number]> = {
  [FrameKind.NATIVE]: [27, 86],
  [FrameKind.KERNEL]: [204, 58],
  [FrameKind.JIT]: [142, 42],
  [FrameKind.TRUNCATED]: [45, 6],
  [TABLE]: [268, 38],
};

/** A number for a text, always the same. */
export function hash(text: string): number {
  let value = 2166136261;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 16777619);
  return value >>> 0;
}

/** Blue for less, red for more; `change` from -1 to 1. */
export function changeColor(change: number, isDark: boolean): string {
  const strength = Math.min(1, Math.sqrt(Math.abs(change)));
  const hue = change > 0 ? 8 : 212;
  const lightness = isDark ? 58 + strength * 5 : 90 - strength * 30;
  return `hsl(${hue} ${Math.round(strength * (isDark ? 66 : 78))}% ${lightness}%)`;
}

/** How a node's share changed, from -1 (half as much or less) to 1 (twice as much or more). */
export function changeOf(tree: Tree, node: number): number {
  if (!tree.totalBefore) return 0;
  const before = tree.totalBefore[node]! / (tree.totalBefore[0]! || 1);
  const after = tree.total[node]! / (tree.total[0]! || 1);
  // What is hardly there is no change, however many times less or more it is.
  const floor = 0.002;
  return Math.max(-1, Math.min(1, Math.log2((after + floor) / (before + floor))));
}

/** A colour for each node, as an index into a list of colours. */
export function colors(tree: Tree, by: ColorBy, isDark: boolean): { index: Uint16Array; list: string[] } {
  const list: string[] = [palette(isDark).root];
  const numbers = new Map<string, number>();
  const index = new Uint16Array(tree.size);
  const number = (color: string) => {
    const known = numbers.get(color);
    if (known !== undefined) return known;
    list.push(color);
    numbers.set(color, list.length - 1);
    return list.length - 1;
  };
  const byKind = new Map(
    Object.entries(HUES).map(([kind, [hue, saturation]]) => [Number(kind), shades(hue, saturation, isDark)]),
  );
  const nameShade = Int8Array.from(tree.strings, (text) => hash(text) % SHADES);
  const moduleHue = Int16Array.from(tree.strings, (text) => (hash(text) % 24) * 15);
  for (let i = 1; i < tree.size; i++) {
    const kind = tree.kind[i]!;
    if (by === "change" && tree.totalBefore) index[i] = number(changeColor(Math.round(changeOf(tree, i) * 20) / 20, isDark));
    else if (kind === FrameKind.UNSPECIFIED) index[i] = 0;
    else if (by === "module" && tree.strings[tree.module[i]!]) {
      const shade = (nameShade[tree.name[i]!]! - 3) * 1.6;
      index[i] = number(`hsl(${moduleHue[tree.module[i]!]!} 52% ${(isDark ? 58 : 70) + shade}%)`);
    } else index[i] = number((byKind.get(kind) ?? byKind.get(FrameKind.NATIVE)!)[nameShade[tree.name[i]!]!]!);
  }
  return { index, list };
}
