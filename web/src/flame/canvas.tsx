// The flame graph on its canvas: pointer, keys, zoom.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Tree } from "../model/tree";
import { useDark } from "../ui/theme";
import { type ColorBy, colors, palette } from "./color";
import { ROW_PX, type Window, draw, heightOf, nodeUnder } from "./draw";

/** How long a zoom takes, in milliseconds; at once where people want no motion. */
const ZOOM_MS = 180;
/** Nothing narrower is zoomed into, as a share of the whole. */
const SPAN_MIN = 1e-7;

export interface FlameProps {
  tree: Tree;
  /** Node that fills the width. */
  zoom: number;
  onZoom: (node: number) => void;
  color: ColorBy;
  isUp: boolean;
  found: Uint8Array | undefined;
  selected: number;
  onSelect: (node: number) => void;
  onHover: (node: number, x: number, y: number) => void;
  /** Opens the page of a function. */
  onOpen: (node: number) => void;
  label: string;
  /** Where the canvas is kept, for a picture of it. */
  keep?: (canvas: HTMLCanvasElement | null) => void;
}

interface Span {
  from: number;
  to: number;
}

function spanOf(tree: Tree, node: number): Span {
  const from = tree.left[node] ?? 0;
  return { from, to: from + (tree.weight[node] || 1) };
}

/** Steps to another node: the key says whereto. */
function stepped(tree: Tree, node: number, key: string, isUp: boolean): number {
  const inward = isUp ? "ArrowUp" : "ArrowDown";
  const outward = isUp ? "ArrowDown" : "ArrowUp";
  const parent = tree.parent[node]!;
  if (key === outward) return parent;
  if (key === inward) return heaviestChild(tree, node);
  if (key === "ArrowRight") return node > 0 && tree.end[node]! < tree.end[parent]! ? tree.end[node]! : node;
  let before = node;
  for (let i = parent + 1; i < node; i = tree.end[i]!) before = i;
  return before;
}

function heaviestChild(tree: Tree, node: number): number {
  let best = node;
  for (let i = node + 1; i < tree.end[node]!; i = tree.end[i]!) {
    if (best === node || tree.weight[i]! > tree.weight[best]!) best = i;
  }
  return best;
}

export function Flame(props: FlameProps) {
  const { tree, zoom, isUp, found, selected } = props;
  const isDark = useDark();
  const scroller = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const hover = useRef(-1);
  const span = useRef<Span>(spanOf(tree, zoom));
  const frame = useRef(0);
  const look = useMemo(() => ({ ...colors(tree, props.color, isDark), palette: palette(isDark) }), [tree, props.color, isDark]);

  const window = (): Window => ({ ...span.current, scroll: scroller.current?.scrollTop ?? 0, ...size, isUp });
  const paint = () => {
    const context = canvas.current?.getContext("2d");
    if (context && size.width > 0) draw(context, tree, window(), { ...look, found, hover: hover.current, selected });
  };
  const repaint = () => {
    cancelAnimationFrame(frame.current);
    frame.current = requestAnimationFrame(paint);
  };
  const latest = useRef(repaint);
  latest.current = repaint;

  useLayoutEffect(() => {
    const element = scroller.current!;
    const observer = new ResizeObserver(() => setSize({ width: element.clientWidth, height: element.clientHeight }));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    const element = canvas.current!;
    element.width = Math.round(size.width * devicePixelRatio);
    element.height = Math.round(size.height * devicePixelRatio);
    props.keep?.(element);
    paint();
  }, [size.width, size.height]);

  // A new tree is there at once; a zoom within the same tree is followed by the eye.
  const shown = useRef(tree);
  useEffect(() => {
    const target = spanOf(tree, zoom);
    const start = span.current;
    const isNew = shown.current !== tree;
    shown.current = tree;
    if (isNew || matchMedia("(prefers-reduced-motion: reduce)").matches) {
      span.current = target;
      latest.current();
      return;
    }
    const began = performance.now();
    let running = 0;
    const step = (now: number) => {
      const part = Math.min(1, Math.max(0, (now - began) / ZOOM_MS));
      const eased = 1 - (1 - part) ** 3;
      span.current = {
        from: start.from + (target.from - start.from) * eased,
        to: start.to + (target.to - start.to) * eased,
      };
      latest.current();
      if (part < 1) running = requestAnimationFrame(step);
    };
    running = requestAnimationFrame(step);
    return () => cancelAnimationFrame(running);
  }, [tree, zoom]);

  useEffect(repaint, [look, found, selected, isUp]);

  // Far from its edge a root at the bottom is out of sight.
  useLayoutEffect(() => {
    const element = scroller.current!;
    element.scrollTop = isUp ? element.scrollHeight : 0;
  }, [isUp, tree, size.height > 0]);

  const under = (event: MouseEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    return nodeUnder(tree, window(), event.clientX - box.left, event.clientY - box.top);
  };
  const onMove = (event: PointerEvent) => {
    const node = under(event);
    if (node !== hover.current) {
      hover.current = node;
      repaint();
    }
    props.onHover(node, event.clientX, event.clientY);
  };
  const onLeave = () => {
    hover.current = -1;
    repaint();
    props.onHover(-1, 0, 0);
  };
  const onClick = (event: MouseEvent) => {
    const node = under(event);
    if (node < 0) return;
    props.onSelect(node);
    if (event.shiftKey) props.onOpen(node);
    else props.onZoom(node);
  };
  const onWheel = (event: WheelEvent) => {
    if (!event.ctrlKey && !event.metaKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return;
    event.preventDefault();
    const box = canvas.current!.getBoundingClientRect();
    const whole = spanOf(tree, 0);
    const now = span.current;
    const width = now.to - now.from;
    const isPan = !event.ctrlKey && !event.metaKey;
    const at = now.from + ((event.clientX - box.left) / size.width) * width;
    const factor = isPan ? 1 : Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.01);
    const next = Math.min(whole.to - whole.from, Math.max((whole.to - whole.from) * SPAN_MIN, width * factor));
    let from = isPan ? now.from + (event.deltaX / size.width) * width : at - ((at - now.from) / width) * next;
    from = Math.min(Math.max(from, whole.from), whole.to - next);
    span.current = { from, to: from + next };
    repaint();
  };
  // Listeners of the framework do not keep the page from scrolling.
  const wheel = useRef(onWheel);
  wheel.current = onWheel;
  useEffect(() => {
    const element = canvas.current!;
    const listen = (event: WheelEvent) => wheel.current(event);
    element.addEventListener("wheel", listen, { passive: false });
    return () => element.removeEventListener("wheel", listen);
  }, []);

  const reveal = (node: number) => {
    const element = scroller.current!;
    const row = isUp ? tree.depthMax - tree.depth[node]! : tree.depth[node]!;
    const top = row * ROW_PX;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW_PX > element.scrollTop + size.height) element.scrollTop = top + ROW_PX - size.height;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.startsWith("Arrow")) {
      const next = selected < 0 ? zoom : stepped(tree, selected, event.key, isUp);
      props.onSelect(next);
      reveal(next);
    } else if (event.key === "Enter" && selected >= 0) {
      if (event.shiftKey) props.onOpen(selected);
      else props.onZoom(selected);
    } else if (event.key === "Escape" || event.key === "0") props.onZoom(0);
    else if (event.key === "Backspace") props.onZoom(tree.parent[zoom]!);
    else return;
    event.preventDefault();
  };

  const height = heightOf(tree);
  return (
    <div
      class="flame"
      ref={scroller}
      tabIndex={0}
      role="application"
      aria-label={props.label}
      aria-describedby="flame-keys"
      onScroll={repaint}
      onKeyDown={onKeyDown}
    >
      <canvas
        ref={canvas}
        style={{ width: `${size.width}px`, height: `${size.height}px` }}
        onPointerMove={onMove}
        onPointerLeave={onLeave}
        onClick={onClick}
      />
      <div class="flame-space" style={{ height: `${Math.max(0, height - size.height)}px` }} />
    </div>
  );
}
