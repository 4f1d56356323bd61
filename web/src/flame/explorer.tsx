// A flame graph with all that one does with it: search, zoom, colours, files.

import type { ComponentChildren } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import type { Quality, Selection } from "../api/generated";
import { type Sandwich, type Tree, find, nodeAt, packPath, pathOf, sandwich, unpackPath } from "../model/tree";
import { amount, count, percent } from "../model/units";
import { go, useLook } from "../state";
import { QualityBadge } from "../ui/notes";
import { Flame } from "./canvas";
import type { ColorBy } from "./color";
import { Chosen, type Pointed, Tip } from "./details";
import { TITLES, saveFile, savePicture } from "./save";

export interface ExplorerProps {
  tree: Tree;
  /** What files are made of; none where there is no one selection. */
  selection: Selection | undefined;
  quality: Quality | undefined;
  label: string;
  /** What stands in front of the tools. */
  children?: ComponentChildren;
}

export function Explorer({ tree, selection, quality, label, children }: ExplorerProps) {
  const look = useLook();
  const parts = useMemo(() => (look.sandwich ? sandwich(tree, look.sandwich) : undefined), [tree, look.sandwich]);
  const found = useMemo(() => find(tree, look.search), [tree, look.search]);
  const canvas = useRef<HTMLCanvasElement | null>(null);
  return (
    <section class="explorer" aria-label={label}>
      <div class="tools">
        {children}
        <SearchField />
        {found && (
          <span class="matched" aria-live="polite">
            <b>{percent(found.weight / (tree.total[0]! || 1))}</b> in {count(found.count)} frames
          </span>
        )}
        <span class="grow" />
        <QualityBadge quality={quality} />
        <Colors hasChange={Boolean(tree.totalBefore)} />
        <button aria-pressed={look.up === "1"} onClick={() => go({ up: look.up ? "" : "1" }, "replace")}>
          {look.up ? "Root below" : "Root above"}
        </button>
        <button disabled={!look.zoom && !look.search && !look.sandwich} onClick={() => go({ zoom: "", search: "", sandwich: "" })}>
          Reset
        </button>
        <Files selection={selection} canvas={() => canvas.current} />
      </div>
      {look.sandwich ? (
        <Halves parts={parts} name={look.sandwich} />
      ) : (
        <Picture tree={tree} found={found?.nodes} label={label} keep={(element) => (canvas.current = element)} />
      )}
      <p id="flame-keys" class="hidden">
        Arrow keys walk through the frames, Enter zooms into one, Shift and Enter opens its page, 0 shows all again.
      </p>
    </section>
  );
}

/** One tree with its zoom in the address. */
function Picture(props: { tree: Tree; found: Uint8Array | undefined; label: string; keep: (canvas: HTMLCanvasElement | null) => void }) {
  const { tree } = props;
  const look = useLook();
  const zoom = useMemo(() => nodeAt(tree, unpackPath(look.zoom)), [tree, look.zoom]);
  const [selected, setSelected] = useState(-1);
  const [pointed, setPointed] = useState<Pointed>({ node: -1, x: 0, y: 0 });
  const chosen = selected < tree.size ? selected : -1;
  const open = (node: number) => go({ view: "function", fn: tree.strings[tree.name[node]!]!, zoom: "" });
  return (
    <>
      <Flame
        tree={tree}
        zoom={zoom}
        onZoom={(node) => go({ zoom: packPath(pathOf(tree, node)) })}
        color={look.color as ColorBy}
        isUp={look.up === "1"}
        found={props.found}
        selected={chosen}
        onSelect={setSelected}
        onHover={(node, x, y) => setPointed({ node, x, y })}
        onOpen={open}
        label={props.label}
        keep={props.keep}
      />
      <Tip tree={tree} at={pointed.node < tree.size ? pointed : { node: -1, x: 0, y: 0 }} />
      <Chosen tree={tree} node={chosen} />
    </>
  );
}

/** Callers above, callees below. */
function Halves({ parts, name }: { parts: Sandwich | undefined; name: string }) {
  if (!parts) return <p class="note">No frame is called “{name}” in this selection.</p>;
  const type = parts.callees.type;
  return (
    <div class="sandwich">
      <h2>
        Callers of <code>{name}</code> <span class="muted">{amount(parts.callers.total[0]!, type)}</span>
      </h2>
      <Half tree={parts.callers} isUp label={`Callers of ${name}`} />
      <h2>
        What <code>{name}</code> calls <span class="muted">{amount(parts.self, type)} by itself</span>
      </h2>
      <Half tree={parts.callees} isUp={false} label={`Callees of ${name}`} />
    </div>
  );
}

/** One side of a sandwich; its zoom is not in the address. */
function Half({ tree, isUp, label }: { tree: Tree; isUp: boolean; label: string }) {
  const look = useLook();
  const [zoom, setZoom] = useState(0);
  const [selected, setSelected] = useState(-1);
  const [pointed, setPointed] = useState<Pointed>({ node: -1, x: 0, y: 0 });
  const found = useMemo(() => find(tree, look.search), [tree, look.search]);
  const inside = (node: number) => (node < tree.size ? node : -1);
  return (
    <>
      <Flame
        tree={tree}
        zoom={Math.max(0, inside(zoom))}
        onZoom={setZoom}
        color={look.color as ColorBy}
        isUp={isUp}
        found={found?.nodes}
        selected={inside(selected)}
        onSelect={setSelected}
        onHover={(node, x, y) => setPointed({ node, x, y })}
        onOpen={(node) => go({ sandwich: tree.strings[tree.name[node]!]! })}
        label={label}
      />
      <Tip tree={tree} at={{ ...pointed, node: inside(pointed.node) }} />
    </>
  );
}

export function SearchField() {
  const look = useLook();
  return (
    <input
      type="search"
      class="search"
      aria-label="Search functions, files and modules"
      placeholder="Search, or /regular expression/"
      spellcheck={false}
      value={look.search}
      onInput={(event) => go({ search: event.currentTarget.value }, "replace")}
    />
  );
}

function Colors({ hasChange }: { hasChange: boolean }) {
  const look = useLook();
  return (
    <label class="pick small">
      <span>Colours by</span>
      <select value={look.color} onChange={(event) => go({ color: event.currentTarget.value }, "replace")}>
        <option value="kind">kind</option>
        <option value="module">module</option>
        {(hasChange || look.color === "change") && <option value="change">change</option>}
      </select>
    </label>
  );
}

function Files({ selection, canvas }: { selection: Selection | undefined; canvas: () => HTMLCanvasElement | null }) {
  const [error, setError] = useState("");
  const onChange = (event: Event) => {
    const element = event.currentTarget as HTMLSelectElement;
    const title = element.value;
    element.value = "";
    setError("");
    const picture = canvas();
    if (title === "PNG" && picture) savePicture(picture, getComputedStyle(document.body).backgroundColor);
    else if (selection) saveFile(title, selection).catch((problem: Error) => setError(problem.message));
  };
  return (
    <>
      <select class="export" aria-label="Export" value="" onChange={onChange}>
        <option value="">Export …</option>
        <option value="PNG">PNG</option>
        {selection && TITLES.map((title) => <option value={title}>{title}</option>)}
      </select>
      {error && <span class="note bad">{error}</span>}
    </>
  );
}
