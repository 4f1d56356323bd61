// Trees of stacks, in arrays: a hundred thousand nodes take a few megabytes, and one pass over them
// a millisecond.

import { type DiffResponse, type FlameGraphResponse, FrameKind, type ValueType } from "../api/generated";

/** A tree in depth-first order, root first. All arrays have an entry for each node. */
export interface Tree {
  size: number;
  parent: Int32Array;
  depth: Int32Array;
  /** One past the last node below. */
  end: Int32Array;
  /** Left edge, in the unit of `weight`. */
  left: Float64Array;
  /** What the width stands for: the total; of a diff both totals. */
  weight: Float64Array;
  total: Float64Array;
  self: Float64Array;
  /** The same before; only of a diff, where `total` and `self` are after. */
  totalBefore?: Float64Array;
  selfBefore?: Float64Array;
  name: Int32Array;
  file: Int32Array;
  module: Int32Array;
  kind: Uint8Array;
  inlined: Uint8Array;
  strings: string[];
  depthMax: number;
  type: ValueType | undefined;
}

/** A tree without its places: room for `size` nodes. */
function empty(size: number, strings: string[], type: ValueType | undefined): Tree {
  return {
    size,
    parent: new Int32Array(size),
    depth: new Int32Array(size),
    end: new Int32Array(size),
    left: new Float64Array(size),
    weight: new Float64Array(size),
    total: new Float64Array(size),
    self: new Float64Array(size),
    name: new Int32Array(size),
    file: new Int32Array(size),
    module: new Int32Array(size),
    kind: new Uint8Array(size),
    inlined: new Uint8Array(size),
    strings,
    depthMax: 0,
    type,
  };
}

/** Fills in depths, ends and left edges from parents and weights. */
function place(tree: Tree): Tree {
  const { size, parent, depth, end, left, weight } = tree;
  const next = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    if (i > 0) {
      const above = parent[i]!;
      depth[i] = depth[above]! + 1;
      left[i] = next[above]!;
      next[above]! += weight[i]!;
    }
    next[i] = left[i]!;
    end[i] = i + 1;
    if (depth[i]! > tree.depthMax) tree.depthMax = depth[i]!;
  }
  for (let i = size - 1; i > 0; i--) {
    const above = parent[i]!;
    if (end[i]! > end[above]!) end[above] = end[i]!;
  }
  return tree;
}

/** The tree of an answer. */
export function treeOf(answer: FlameGraphResponse): Tree {
  const tree = empty(answer.nodes.length, answer.strings, answer.valueType);
  answer.nodes.forEach((node, i) => {
    tree.parent[i] = node.parent;
    tree.name[i] = node.function;
    tree.file[i] = node.file;
    tree.module[i] = node.module;
    tree.kind[i] = node.kind;
    tree.inlined[i] = node.isInlined ? 1 : 0;
    tree.total[i] = node.total;
    tree.self[i] = node.self;
  });
  tree.weight = tree.total;
  return place(tree);
}

/** The tree of a comparison. Each side is as wide as its share: half of the picture each. */
export function diffTreeOf(answer: DiffResponse): Tree {
  const tree = empty(answer.nodes.length, answer.strings, answer.valueType);
  const before = (tree.totalBefore = new Float64Array(tree.size));
  const selfBefore = (tree.selfBefore = new Float64Array(tree.size));
  const scale = [answer.beforeTotal || 1, answer.afterTotal || 1] as const;
  answer.nodes.forEach((node, i) => {
    tree.parent[i] = node.parent;
    tree.name[i] = node.function;
    tree.file[i] = node.file;
    tree.module[i] = node.module;
    tree.kind[i] = node.kind;
    tree.inlined[i] = node.isInlined ? 1 : 0;
    before[i] = node.beforeTotal;
    tree.total[i] = node.afterTotal;
    selfBefore[i] = node.beforeSelf;
    tree.self[i] = node.afterSelf;
    tree.weight[i] = node.beforeTotal / scale[0] + node.afterTotal / scale[1];
  });
  return place(tree);
}

/** Nodes that grow in any order, of one weight. */
class Builder {
  private parent: number[] = [0];
  private source: number[] = [];
  private total: number[] = [0];
  private self: number[] = [0];
  private children = new Map<number, number>();

  constructor(
    private tree: Tree,
    root: number,
  ) {
    this.source.push(root);
  }

  /** The child of a node that stands for the same function as a node of the tree. */
  child(of: number, node: number): number {
    const { strings, name, module } = this.tree;
    const span = strings.length + 1;
    const key = (of * span + name[node]!) * span + module[node]!;
    const known = this.children.get(key);
    if (known !== undefined) return known;
    const number = this.parent.length;
    this.parent.push(of);
    this.source.push(node);
    this.total.push(0);
    this.self.push(0);
    this.children.set(key, number);
    return number;
  }

  add(node: number, total: number, self: number): void {
    this.total[node]! += total;
    this.self[node]! += self;
  }

  /** The grown nodes as a tree, heaviest children first. */
  finish(): Tree {
    const size = this.parent.length;
    const below: number[][] = Array.from({ length: size }, () => []);
    for (let i = 1; i < size; i++) below[this.parent[i]!]!.push(i);
    const grown = empty(size, this.tree.strings, this.tree.type);
    const open: [number, number][] = [[0, 0]];
    for (let i = 0; open.length > 0; i++) {
      const [node, parent] = open.pop()!;
      const source = this.source[node]!;
      grown.parent[i] = parent;
      grown.total[i] = this.total[node]!;
      grown.self[i] = this.self[node]!;
      for (const part of ["name", "file", "module", "kind", "inlined"] as const) grown[part][i] = this.tree[part][source]!;
      below[node]!.sort((a, b) => this.total[a]! - this.total[b]!);
      for (const child of below[node]!) open.push([child, i]);
    }
    grown.weight = grown.total;
    return place(grown);
  }
}

/** Outermost nodes of a function: recursion counts once. */
function outermost(tree: Tree, name: number): number[] {
  const found: number[] = [];
  for (let i = 0; i < tree.size; ) {
    if (tree.name[i] === name) {
      found.push(i);
      i = tree.end[i]!;
    } else i++;
  }
  return found;
}

export interface Sandwich {
  callers: Tree;
  callees: Tree;
  /** What the function takes by itself, in recursion too. */
  self: number;
}

/** What a function calls, and what calls it, from all places where it is. */
export function sandwich(tree: Tree, functionName: string): Sandwich | undefined {
  const name = tree.strings.indexOf(functionName);
  const found = name < 0 ? [] : outermost(tree, name);
  if (found.length === 0) return undefined;
  const callees = new Builder(tree, found[0]!);
  const callers = new Builder(tree, found[0]!);
  const numbers = new Int32Array(tree.size);
  for (const top of found) {
    const total = tree.total[top]!;
    callees.add(0, total, tree.self[top]!);
    numbers[top] = 0;
    for (let i = top + 1; i < tree.end[top]!; i++) {
      numbers[i] = callees.child(numbers[tree.parent[i]!]!, i);
      callees.add(numbers[i]!, tree.total[i]!, tree.self[i]!);
    }
    callers.add(0, total, 0);
    for (let i = tree.parent[top]!, at = 0; i !== 0; i = tree.parent[i]!) {
      at = callers.child(at, i);
      callers.add(at, total, 0);
    }
  }
  const self = tree.self.reduce((sum, own, i) => (tree.name[i] === name ? sum + own : sum), 0);
  return { callers: callers.finish(), callees: callees.finish(), self };
}

/** Which texts contain what is searched; `undefined` when nothing is. `/…/` is a regular expression. */
export function searcher(search: string): ((text: string) => boolean) | undefined {
  if (!search) return undefined;
  const slashes = /^\/(.+)\/$/.exec(search);
  if (slashes) {
    try {
      const pattern = new RegExp(slashes[1]!, "i");
      return (text) => pattern.test(text);
    } catch {
      // Not yet a whole expression: someone is typing it.
    }
  }
  const wanted = search.toLowerCase();
  return (text) => text.toLowerCase().includes(wanted);
}

export interface Found {
  /** `1` for each node that was found. */
  nodes: Uint8Array;
  count: number;
  /** Weight of what was found; what is below a found node counts once. */
  weight: number;
}

/** Looks for nodes by function, file or module. */
export function find(tree: Tree, search: string): Found | undefined {
  const matches = searcher(search);
  if (!matches) return undefined;
  const texts = Uint8Array.from(tree.strings, (text) => (matches(text) ? 1 : 0));
  const nodes = new Uint8Array(tree.size);
  let count = 0;
  let weight = 0;
  let covered = 0;
  for (let i = 1; i < tree.size; i++) {
    if (!texts[tree.name[i]!] && !texts[tree.module[i]!] && !texts[tree.file[i]!]) continue;
    nodes[i] = 1;
    count++;
    if (i >= covered) {
      weight += tree.total[i]!;
      covered = tree.end[i]!;
    }
  }
  return { nodes, count, weight };
}

/** Names from the root to a node, without the root. */
export function pathOf(tree: Tree, node: number): string[] {
  const path: string[] = [];
  for (let i = node; i !== 0; i = tree.parent[i]!) path.unshift(tree.strings[tree.name[i]!]!);
  return path;
}

/** The node at the end of a path of names, or of as much of it as there is. */
export function nodeAt(tree: Tree, path: string[]): number {
  let at = 0;
  for (const name of path) {
    let child = at + 1;
    while (child < tree.end[at]! && tree.strings[tree.name[child]!] !== name) child = tree.end[child]!;
    if (child >= tree.end[at]!) break;
    at = child;
  }
  return at;
}

/** A path as an address holds it. */
export function packPath(path: string[]): string {
  return path.map((name) => name.replace(/[~|]/g, (mark) => (mark === "~" ? "~0" : "~1"))).join("|");
}

export function unpackPath(text: string): string[] {
  if (!text) return [];
  return text.split("|").map((name) => name.replace(/~([01])/g, (_, digit) => (digit === "0" ? "~" : "|")));
}

export const KIND_NAMES: Record<number, string> = {
  [FrameKind.UNSPECIFIED]: "all",
  [FrameKind.NATIVE]: "native",
  [FrameKind.KERNEL]: "kernel",
  [FrameKind.JIT]: "made at run time",
  [FrameKind.TRUNCATED]: "cut",
};
