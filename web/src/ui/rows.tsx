// A table whose rows can be put in another order and searched. Both are in the address.

import type { ComponentChildren } from "preact";
import { searcher } from "../model/tree";
import { go, useLook } from "../state";
import { Note } from "./notes";

/** More rows are not drawn; the search looks through all. */
const ROWS_MAX = 300;

export interface Column<R> {
  /** In the address, where rows are in its order. */
  name: string;
  title: string;
  /** What must be known to read it; a second line of its head. */
  note?: string;
  cell: (row: R) => ComponentChildren;
  /** What rows are ordered by: large numbers and early letters first. No order without it. */
  key?: (row: R) => number | string;
  /** Class of its cells; `number` is for what stands at the right. */
  look?: string;
}

export interface RowsProps<R> {
  label: string;
  columns: Column<R>[];
  rows: R[];
  /** What a search looks into. */
  text: (row: R) => string;
}

export function Rows<R>({ label, columns, rows, text }: RowsProps<R>) {
  const look = useLook();
  const holds = searcher(look.search) ?? (() => true);
  const shown = ordered(rows.filter((row) => holds(text(row))), columns.find((column) => column.name === look.order)?.key);
  if (shown.length === 0) return <Note>{rows.length ? "No row has what is searched." : "There are no rows."}</Note>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <Head column={column} isOrder={column.name === look.order} />
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.slice(0, ROWS_MAX).map((row) => (
            <tr>
              {columns.map((column) => (
                <td class={column.look}>{column.cell(row)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Rows by a key; as they came without one. */
function ordered<R>(rows: R[], key: ((row: R) => number | string) | undefined): R[] {
  if (!key) return rows;
  return [...rows].sort((a, b) => {
    const [left, right] = [key(a), key(b)];
    return typeof left === "string" ? left.localeCompare(String(right)) : Number(right) - left;
  });
}

function Head<R>({ column, isOrder }: { column: Column<R>; isOrder: boolean }) {
  const { name, title, note, key, look } = column;
  const isNumber = look?.split(" ").includes("number");
  return (
    <th scope="col" class={isNumber ? "number" : ""} aria-sort={isOrder ? (isNumber ? "descending" : "ascending") : undefined}>
      {key ? (
        <button class="plain" onClick={() => go({ order: isOrder ? "" : name }, "replace")}>
          {title} {isOrder && <span aria-hidden="true">▾</span>}
        </button>
      ) : (
        title
      )}
      {note && <div class="head-note">{note}</div>}
    </th>
  );
}
