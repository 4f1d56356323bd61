// Signals whose stacks begin with what was measured: system calls, TCP, the heap. Each path from the
// root becomes a row, the last level the spread over buckets.

import { useEffect, useMemo } from "preact/hooks";
import { type Span, spanNs, useAsk } from "../api/ask";
import { type FlameGraphResponse, QueryService } from "../api/generated";
import type { ViewProps } from "../app";
import { type Tree, treeOf } from "../model/tree";
import { amount, percent } from "../model/units";
import { go, linkTo, useLook } from "../state";
import { Failure, Note, QualityBadge } from "../ui/notes";

interface Shape {
  signal: string;
  title: string;
  /** What the levels below the root are. */
  levels: string[];
  /** Whether the level below those is a spread of buckets. */
  hasBuckets: boolean;
}

const SHAPES: Shape[] = [
  { signal: "syscall_counts", title: "System calls", levels: ["Call", "Outcome"], hasBuckets: true },
  { signal: "tcp_counts", title: "TCP", levels: ["Endpoint", "Side", "Measure"], hasBuckets: true },
  { signal: "alloc", title: "Heap", levels: ["Function"], hasBuckets: false },
  { signal: "page_fault", title: "Page faults", levels: ["Function"], hasBuckets: false },
  { signal: "syscall", title: "System call time", levels: ["Function"], hasBuckets: false },
  { signal: "tcp", title: "TCP waits", levels: ["Function"], hasBuckets: false },
  { signal: "offcpu", title: "Off the CPU", levels: ["Function"], hasBuckets: false },
];

/** Has views of its own. */
const CPU = "cpu";
const NODES_MAX = 20_000;
const ROWS_MAX = 200;

export function TablesView({ span, onTick }: ViewProps) {
  const look = useLook();
  const signals = useAsk(QueryService.listSignals, spanNs(span)).answer?.signals.map((each) => each.signal);
  const present = shapesOf(signals ?? []);
  const shape = [look.signal, look.table].map((name) => present.find((each) => each.signal === name)).find(Boolean) ?? present[0];
  // The timeline and the list of values are those of the table.
  useEffect(() => {
    if (shape && look.signal !== shape.signal) go({ table: shape.signal, signal: shape.signal, kind: "" }, "replace");
  }, [shape?.signal, look.signal]);
  if (!signals) return <Note>Reading signals …</Note>;
  return (
    <section class="page" aria-label="Tables">
      <div class="tabs" role="group" aria-label="Table of">
        {present.map((each) => (
          <button aria-pressed={each === shape} onClick={() => go({ table: each.signal, kind: "", signal: each.signal })}>
            {each.title}
          </button>
        ))}
      </div>
      {shape ? (
        <SignalTable shape={shape} span={span} onTick={onTick} />
      ) : (
        <Note>No daemon delivers system calls, TCP, heap or waiting time in this span of time.</Note>
      )}
    </section>
  );
}

/** Tables of the signals that are there: those we know first. */
function shapesOf(signals: string[]): Shape[] {
  const known = SHAPES.filter((shape) => signals.includes(shape.signal));
  const others = signals.filter((signal) => signal !== CPU && !known.some((shape) => shape.signal === signal));
  return [...known, ...others.map((signal) => ({ signal, title: signal, levels: ["Function"], hasBuckets: false }))];
}

function SignalTable({ shape, span, onTick }: { shape: Shape; span: Span; onTick: () => void }) {
  const look = useLook();
  const kind = look.signal === shape.signal ? look.kind : "";
  const selection = { signal: shape.signal, kind, selector: look.q, ...spanNs(span) };
  const { answer, error } = useAsk(QueryService.flameGraph, { selection, nodeLimit: NODES_MAX });
  const tree = useMemo(() => answer && treeOf(answer), [answer]);
  if (error) return <Failure error={error} onRetry={onTick} />;
  if (!answer || !tree) return <Note>Reading …</Note>;
  const rows = shape.hasBuckets ? paths(tree, shape.levels.length) : functions(tree);
  return (
    <>
      <p class="table-head">
        <b>{amount(answer.total, answer.valueType)}</b> {answer.valueType?.kind} in all{" "}
        <a href={linkTo({ view: "flame", signal: shape.signal, zoom: "", search: "" })}>as a flame graph</a>
        <QualityBadge quality={answer.quality} />
      </p>
      <Rows rows={rows.slice(0, ROWS_MAX)} shape={shape} answer={answer} />
    </>
  );
}

interface Row {
  names: string[];
  total: number;
  /** Name and weight of each bucket, in the order of the tree. */
  buckets: [string, number][];
}

/** A row for each path of so many levels. */
function paths(tree: Tree, depth: number): Row[] {
  const rows: Row[] = [];
  const names: string[] = [];
  for (let i = 1; i < tree.size; i++) {
    const level = tree.depth[i]!;
    names[level - 1] = tree.strings[tree.name[i]!]!;
    if (level !== depth) continue;
    const buckets: [string, number][] = [];
    for (let child = i + 1; child < tree.end[i]!; child = tree.end[child]!)
      buckets.push([tree.strings[tree.name[child]!]!, tree.total[child]!]);
    buckets.sort(([a], [b]) => boundOf(a) - boundOf(b));
    rows.push({ names: names.slice(0, depth), total: tree.total[i]!, buckets });
  }
  return rows.sort((a, b) => b.total - a.total);
}

const UNITS: Record<string, number> = { ns: 1, µs: 1e3, us: 1e3, ms: 1e6, s: 1e9, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** Where a bucket such as `8 µs .. 16 µs` begins. */
function boundOf(name: string): number {
  const found = /^\D*([\d.]+)\s*([A-Za-zµ]+)?/.exec(name);
  return found ? Number(found[1]) * (UNITS[found[2] ?? ""] ?? 1) : 0;
}

/** The upper bound of the bucket in which a share of the events is reached. */
function below(row: Row, share: number): string {
  let reached = 0;
  for (const [name, weight] of row.buckets) {
    reached += weight;
    if (reached >= share * row.total) return name.split(" .. ")[1] ?? name;
  }
  return "";
}

/** A row for each function by what it takes itself. */
function functions(tree: Tree): Row[] {
  const sums = new Map<number, number>();
  for (let i = 1; i < tree.size; i++) sums.set(tree.name[i]!, (sums.get(tree.name[i]!) ?? 0) + tree.self[i]!);
  const rows = [...sums].filter(([, total]) => total > 0).map(([name, total]) => ({ names: [tree.strings[name]!], total, buckets: [] }));
  return rows.sort((a, b) => b.total - a.total);
}

function Rows({ rows, shape, answer }: { rows: Row[]; shape: Shape; answer: FlameGraphResponse }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={shape.title}>
      <table>
        <thead>
          <tr>
            <th scope="col" class="number">Share</th>
            {shape.levels.map((level) => (
              <th scope="col">{level}</th>
            ))}
            <th scope="col" class="number">{answer.valueType?.kind}</th>
            {shape.hasBuckets && <th scope="col" class="number">Half below</th>}
            {shape.hasBuckets && <th scope="col" class="number">95 % below</th>}
            {shape.hasBuckets && <th scope="col">Spread</th>}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr>
              <td class="number weight">
                <span class="bar" style={{ width: `${(row.total / (answer.total || 1)) * 100}%` }} aria-hidden="true" />
                <span class="share">{percent(row.total / (answer.total || 1))}</span>
              </td>
              {row.names.map((name, i) => (
                <td class={i === 0 ? "name" : ""}>
                  {!shape.hasBuckets ? <a href={linkTo({ view: "function", fn: name })}>{name}</a> : name}
                </td>
              ))}
              <td class="number">{amount(row.total, answer.valueType)}</td>
              {shape.hasBuckets && <td class="number">{below(row, 0.5)}</td>}
              {shape.hasBuckets && <td class="number">{below(row, 0.95)}</td>}
              {shape.hasBuckets && (
                <td>
                  <Spread row={row} />
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A bar for each bucket, as high as its weight. */
function Spread({ row }: { row: Row }) {
  const most = Math.max(1, ...row.buckets.map(([, weight]) => weight));
  const text = row.buckets.map(([name, weight]) => `${name}: ${weight}`).join(", ");
  return (
    <span class="spread" role="img" aria-label={text} title={text}>
      {row.buckets.map(([, weight]) => (
        <i style={{ height: `${Math.max(6, (weight / most) * 100)}%` }} />
      ))}
    </span>
  );
}
