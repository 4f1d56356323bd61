// What takes the most, as a table.

import { useMemo } from "preact/hooks";
import { selectionOf, useAsk } from "../api/ask";
import { GroupBy, QueryService, type TopResponse_Row } from "../api/generated";
import type { ViewProps } from "../app";
import { SearchField } from "../flame/explorer";
import { withCondition } from "../model/selector";
import { KIND_NAMES, searcher } from "../model/tree";
import { amount, count, percent } from "../model/units";
import { go, linkTo, useLook } from "../state";
import { Failure, Note, QualityBadge } from "../ui/notes";

const ROWS_MAX = 500;
const GROUPS: Record<string, GroupBy> = { function: GroupBy.FUNCTION, file: GroupBy.FILE, module: GroupBy.MODULE };
const LABELS = ["service", "host", "comm", "thread", "container", "unit", "build_id"];

export function TopView({ span, onTick }: ViewProps) {
  const look = useLook();
  const by = GROUPS[look.rows] ?? GroupBy.LABEL;
  const label = by === GroupBy.LABEL ? look.rows : "";
  const { answer, error } = useAsk(QueryService.top, { selection: selectionOf(look, span), by, label, limit: ROWS_MAX });
  const rows = useMemo(() => sorted(answer?.rows ?? [], look.sort, look.search), [answer, look.sort, look.search]);
  if (error) return <Failure error={error} onRetry={onTick} />;
  return (
    <section aria-label="Top" class="page">
      <div class="tools">
        <label class="pick small">
          <span>Rows are</span>
          <select value={look.rows} onChange={(event) => go({ rows: event.currentTarget.value })}>
            {[...Object.keys(GROUPS), ...LABELS].map((name) => (
              <option value={name}>{name}</option>
            ))}
          </select>
        </label>
        <SearchField />
        <span class="muted">{answer && `${count(rows.length)} rows of ${amount(answer.total, answer.valueType)}`}</span>
        <span class="grow" />
        <QualityBadge quality={answer?.quality} />
      </div>
      {!answer ? <Note>Reading stacks …</Note> : rows.length === 0 ? <Note>No such rows.</Note> : <Table rows={rows} answer={answer} by={by} />}
    </section>
  );
}

function sorted(rows: TopResponse_Row[], sort: string, search: string): TopResponse_Row[] {
  const holds = searcher(search) ?? (() => true);
  const shown = rows.filter((row) => holds(row.name) || holds(row.module) || holds(row.file));
  if (sort === "total") return shown.sort((a, b) => b.total - a.total);
  if (sort === "name") return shown.sort((a, b) => a.name.localeCompare(b.name));
  return shown.sort((a, b) => b.self - a.self || b.total - a.total);
}

function Table({ rows, answer, by }: { rows: TopResponse_Row[]; answer: { total: number; valueType: any }; by: GroupBy }) {
  const isFunction = by === GroupBy.FUNCTION;
  const isLabel = by === GroupBy.LABEL;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Table">
      <table>
        <thead>
          <tr>
            {!isLabel && <Heading name="self" text="By itself" isNumber />}
            <Heading name="total" text={isLabel ? "Weight" : "With callees"} isNumber />
            <Heading name="name" text="Name" />
            {isFunction && <th scope="col">Where</th>}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr>
              {!isLabel && <Weight value={row.self} answer={answer} />}
              <Weight value={row.total} answer={answer} />
              <td class="name">
                <Name row={row} by={by} />
              </td>
              {isFunction && (
                <td class="muted where" title={row.file}>
                  {[row.file.split("/").slice(-2).join("/"), row.module || KIND_NAMES[row.kind]].filter(Boolean).join(" · ")}
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Name({ row, by }: { row: TopResponse_Row; by: GroupBy }) {
  const look = useLook();
  const text = row.name || "∅";
  if (by === GroupBy.FUNCTION) return <a href={linkTo({ view: "function", fn: row.name })}>{text}</a>;
  if (by === GroupBy.LABEL) {
    const q = withCondition(look.q, { name: look.rows, op: "=", value: row.name });
    return <a href={linkTo({ view: "flame", q })}>{text}</a>;
  }
  return <a href={linkTo({ view: "flame", search: row.name })}>{text}</a>;
}

function Heading({ name, text, isNumber }: { name: string; text: string; isNumber?: boolean }) {
  const look = useLook();
  const isSorted = look.sort === name;
  return (
    <th scope="col" class={isNumber ? "number" : ""} aria-sort={isSorted ? (name === "name" ? "ascending" : "descending") : undefined}>
      <button class="plain" onClick={() => go({ sort: name }, "replace")}>
        {text} <span aria-hidden="true">{isSorted ? "▾" : ""}</span>
      </button>
    </th>
  );
}

/** A value, its share, and the share as a bar. */
export function Weight({ value, answer }: { value: number; answer: { total: number; valueType: any } }) {
  const share = value / (answer.total || 1);
  return (
    <td class="number weight">
      <span class="bar" style={{ width: `${Math.min(100, share * 100)}%` }} aria-hidden="true" />
      <span class="share">{percent(share)}</span> <span class="muted">{amount(value, answer.valueType)}</span>
    </td>
  );
}
