// What is known of one frame: while the pointer is on it, and while it is chosen.

import { FrameKind } from "../api/generated";
import { KIND_NAMES, type Tree } from "../model/tree";
import { amount, percent, points } from "../model/units";
import { go, linkTo } from "../state";

export interface Pointed {
  node: number;
  x: number;
  y: number;
}

/** Distance of the tip from the pointer. */
const GAP_PX = 14;
const WIDTH_PX = 380;

function nameOf(tree: Tree, node: number): string {
  return tree.strings[tree.name[node]!] ?? "";
}

/** Where the code is: file, module, kind. */
function placeOf(tree: Tree, node: number): string {
  const parts = [tree.strings[tree.file[node]!], tree.strings[tree.module[node]!], KIND_NAMES[tree.kind[node]!]];
  if (tree.inlined[node]) parts.push("inlined");
  return parts.filter(Boolean).join(" · ");
}

/** Weights of a node, or of a diff's both sides. */
export function Weights({ tree, node }: { tree: Tree; node: number }) {
  const share = (value: number, of: Float64Array) => percent(value / (of[0]! || 1));
  if (tree.totalBefore && tree.selfBefore) {
    const before = tree.totalBefore[node]! / (tree.totalBefore[0]! || 1);
    const after = tree.total[node]! / (tree.total[0]! || 1);
    return (
      <span class="weights">
        before <b>{percent(before)}</b> ({amount(tree.totalBefore[node]!, tree.type)}), after <b>{percent(after)}</b> (
        {amount(tree.total[node]!, tree.type)}): <b class={after > before ? "more" : "less"}>{points(after - before)}</b>
      </span>
    );
  }
  return (
    <span class="weights">
      <b>{share(tree.total[node]!, tree.total)}</b> ({amount(tree.total[node]!, tree.type)}), itself{" "}
      <b>{share(tree.self[node]!, tree.total)}</b> ({amount(tree.self[node]!, tree.type)})
    </span>
  );
}

/** Beside the pointer. */
export function Tip({ tree, at }: { tree: Tree; at: Pointed }) {
  if (at.node < 0) return null;
  const left = Math.max(4, Math.min(at.x + GAP_PX, innerWidth - WIDTH_PX - 8));
  const isLow = at.y > innerHeight - 140;
  const top = isLow ? undefined : `${at.y + GAP_PX}px`;
  const bottom = isLow ? `${innerHeight - at.y + GAP_PX}px` : undefined;
  return (
    <div class="tip card" role="presentation" style={{ left: `${left}px`, top, bottom }}>
      <code>{nameOf(tree, at.node)}</code>
      <div>
        <Weights tree={tree} node={at.node} />
      </div>
      <div class="muted">{placeOf(tree, at.node)}</div>
    </div>
  );
}

/** Below the picture: the chosen frame, and what can be done with it. */
export function Chosen({ tree, node }: { tree: Tree; node: number }) {
  const isFrame = node > 0 && tree.kind[node] !== FrameKind.UNSPECIFIED;
  const name = nameOf(tree, node);
  return (
    <div class="chosen" aria-live="polite">
      {node < 0 ? (
        <span class="muted">Click zooms, shift and click opens the function; arrow keys walk, Enter zooms, 0 shows all.</span>
      ) : (
        <>
          <code title={name}>{name}</code>
          <Weights tree={tree} node={node} />
          {isFrame && (
            <span class="actions">
              <a href={linkTo({ view: "function", fn: name })}>Function</a>
              <button onClick={() => go({ sandwich: name, zoom: "" })}>Callers and callees</button>
              <button onClick={() => go({ search: name }, "replace")}>Mark</button>
            </span>
          )}
        </>
      )}
    </div>
  );
}
