// What all tables have in common: the question, the line above the rows, and cells.

import type { ComponentChildren } from "preact";
import { type Asked, type Span, spanNs } from "../../api/ask";
import { type HeapRow, type Label, MemoryRows, type Quality, type Selection, type Times } from "../../api/generated";
import { CODE } from "../../api/grpc";
import { bytes, count, duration } from "../../model/units";
import { watched } from "../../model/signals";
import { linkTo, type State, useLook } from "../../state";
import { Failure, Losses, Note, QualityBadge, withCode } from "../../ui/notes";
import type { Column } from "../../ui/rows";

/** Most rows that are asked for: so many can be searched and put in order. */
const ROWS_ASKED = 1000;
/** Functions of a stack that a row shows: who allocates, and for whom. */
const STACK_SHOWN = 4;
/** What stands for a number that there is none of. */
export const NONE = "–";
/** How bounds are to be read. */
export const AT_MOST_NOTE =
  "Half of them, 95 and 99 of a hundred took at most so long: the upper bound of the bucket in which they are reached, which is twice its lower bound.";

export interface Question {
  selection: Selection;
  groupBy: string[];
  limit: number;
}

/** What a table is asked for. */
export function questionOf(look: State, span: Span): Question {
  const groupBy = look.apart.split(",").filter(Boolean);
  return { selection: { signal: "", kind: "", selector: look.q, ...spanNs(span) }, groupBy, limit: ROWS_ASKED };
}

/** What rows of memory stand for. */
export function placesOf(look: State, usual: "functions" | "stacks"): MemoryRows {
  return (look.places || usual) === "stacks" ? MemoryRows.STACKS : MemoryRows.FUNCTIONS;
}

interface Head {
  startNs: number;
  endNs: number;
  rows: unknown[];
  rowsTotal: number;
  quality: Quality | undefined;
}

interface AnswerProps<A extends Head> {
  asked: Asked<A>;
  onTick: () => void;
  /** What the rows are about, before the number of rows. */
  about: (answer: A) => ComponentChildren;
  note: string;
  children: (answer: A) => ComponentChildren;
}

/** The answer of a table, or why there is none. */
export function Answer<A extends Head>({ asked: { answer, error }, onTick, about, note, children }: AnswerProps<A>) {
  const look = useLook();
  if (error?.code === CODE.notFound) return <Note>{withCode(error.message)}.</Note>;
  if (error) return <Failure error={error} onRetry={onTick} />;
  if (!answer) return <Note>Reading …</Note>;
  const seconds = (answer.endNs - answer.startNs) / 1e9;
  return (
    <>
      <p class="table-head">
        {about(answer)}
        <span class="muted">
          {answer.rows.length < answer.rowsTotal ? `${count(answer.rows.length)} of ` : ""}
          {count(answer.rowsTotal)} {answer.rowsTotal === 1 ? "row" : "rows"}
          {answer.rowsTotal > 0 && `, ${duration(Math.round(seconds) * 1e9)} with data`}
        </span>
        <a href={linkTo({ view: "flame", zoom: "", search: "", ...watched(look) })}>as a flame graph</a>
        <QualityBadge quality={answer.quality} />
        <Losses quality={answer.quality} />
      </p>
      {children(answer)}
      <p class="muted table-foot">{note}</p>
    </>
  );
}

/** A column for each label that rows are apart by. */
export function useLabelColumns<R>(labels: (row: R) => Label[]): Column<R>[] {
  const names = useLook().apart.split(",").filter(Boolean);
  return names.map((name, i) => {
    const value = (row: R) => labels(row)[i]?.value ?? "";
    return { name: `label.${name}`, title: name, key: value, cell: (row) => value(row) || <span class="muted">none</span>, look: "label" };
  });
}

/** Values of labels as text, for the search. */
export const labelText = (labels: Label[]) => labels.map((label) => label.value).join("\n");

export const mean = (times: Times | undefined) => (times?.count ? times.timeNs / times.count : 0);

/** A number where most are zero. */
export const rare = (value: number) => (value ? count(value) : <span class="muted">{NONE}</span>);

/** A length of time; nothing for one that there is none of. */
export const length = (ns: number) => (ns ? duration(ns) : <span class="muted">{NONE}</span>);

/** A column of times: half of them, 95 % and, where there is room, 99 % at most. Ordered by what 95 % took. */
export function timesColumn<R>(name: string, title: string, times: (row: R) => Times | undefined, isWide = false): Column<R> {
  return {
    name,
    title,
    note: isWide ? "50 · 95 · 99 % at most" : "50 · 95 % at most",
    look: "number",
    key: (row) => times(row)?.p95AtMostNs ?? 0,
    cell: (row) => <Bounds times={times(row)} isWide={isWide} />,
  };
}

function Bounds({ times, isWide }: { times: Times | undefined; isWide: boolean }) {
  if (!times?.halfAtMostNs) return <span class="muted">{NONE}</span>;
  const { count: number, timeNs, halfAtMostNs, p95AtMostNs, p99AtMostNs } = times;
  const all = timeNs > 0 ? `, ${duration(mean(times))} on average` : "";
  const dot = <span class="muted"> · </span>;
  return (
    <span title={`${count(number)} times${all}; 99 % took at most ${duration(p99AtMostNs)}`}>
      {duration(halfAtMostNs)}
      {dot}
      {duration(p95AtMostNs)}
      {isWide && dot}
      {isWide && duration(p99AtMostNs)}
    </span>
  );
}

/** Bytes with their sign. */
export function growth(value: number): string {
  return value < 0 ? `−${bytes(-value)}` : bytes(value);
}

/** An age in its largest unit. */
export function age(ns: number): string {
  const whole = [86400e9, 3600e9, 60e9, 1e9].find((unit) => ns >= unit) ?? 1e9;
  return duration(Math.floor(ns / whole) * whole);
}

/** The function that memory is for, with its line, and who called it. */
export function Place({ row }: { row: HeapRow | undefined }) {
  if (!row) return null;
  const callers = row.stack.slice(row.stack.indexOf(row.function) + 1).slice(0, STACK_SHOWN - 1);
  const line = row.file && row.line ? `${row.file.split("/").pop()}:${row.line}` : "";
  return (
    <span class="place" title={row.stack.join("\n") || undefined}>
      <a href={linkTo({ view: "function", fn: row.function, search: "" })}>{row.function}</a>
      {line && (
        <span class="muted" title={`${row.file}:${row.line}`}>
          {" "}
          {line}
        </span>
      )}
      {row.stack.length > 0 && callers.length > 0 && <span class="muted"> ← {callers.join(" ← ")}</span>}
    </span>
  );
}

/** What a search looks into, of a place. */
export function placeText(row: HeapRow | undefined): string {
  return row ? [row.function, row.file, row.module, ...row.stack, labelText(row.labels)].join("\n") : "";
}
