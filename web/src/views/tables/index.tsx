// Tables of what is counted and of what grows, as the service makes them.

import type { ViewProps } from "../../app";
import { LABELS } from "../../model/selector";
import { signalTitle, TABLES, type TableKind, tableOf } from "../../model/signals";
import { SearchField } from "../../flame/explorer";
import { go, linkTo, useLook } from "../../state";
import { Note } from "../../ui/notes";
import { HeapTable } from "./heap";
import { LeaksTable } from "./leaks";
import { SyscallsTable } from "./syscalls";
import { TcpTable } from "./tcp";

const VIEWS = { syscall_counts: SyscallsTable, tcp_counts: TcpTable, alloc: HeapTable, leaks: LeaksTable };
/** What rows can be apart by, as addresses hold it. */
const APART = ["", ...LABELS, "pid", "host,comm", "comm,pid"];

export function TablesView(props: ViewProps) {
  const look = useLook();
  const table = tableOf(look.table);
  const View = table && VIEWS[table.name as keyof typeof VIEWS];
  return (
    <section class="page" aria-label="Tables">
      <div class="tabs" role="group" aria-label="Table of">
        {TABLES.map((each) => (
          <button aria-pressed={each === table} onClick={() => go({ table: each.name, order: "", search: "" })}>
            {each.title}
          </button>
        ))}
        <Apart />
        {table && hasPlaces(table) && <Places table={table} />}
        <SearchField label="Search the rows" />
      </div>
      {View ? <View {...props} /> : <Gone />}
    </section>
  );
}

/** Rows of memory are functions or whole stacks. */
const hasPlaces = (table: TableKind) => table.signal === "alloc";

function Apart() {
  const look = useLook();
  const choices = APART.includes(look.apart) ? APART : [...APART, look.apart];
  return (
    <label class="pick small">
      <span>Rows apart by</span>
      <select value={look.apart} onChange={(event) => go({ apart: event.currentTarget.value })}>
        {choices.map((labels) => (
          <option value={labels}>{labels ? labels.replace(",", ", ") : "nothing"}</option>
        ))}
      </select>
    </label>
  );
}

function Places({ table }: { table: TableKind }) {
  const look = useLook();
  const usual = table.name === "leaks" ? "stacks" : "functions";
  return (
    <label class="pick small">
      <span>Rows are</span>
      <select value={look.places || usual} onChange={(event) => go({ places: event.currentTarget.value })}>
        <option value="functions">functions</option>
        <option value="stacks">stacks</option>
      </select>
    </label>
  );
}

/** For links of earlier releases, which had a table for each signal. */
function Gone() {
  const look = useLook();
  return (
    <Note>
      What takes the most of “{signalTitle(look.table)}” is in{" "}
      <a href={linkTo({ view: "top", signal: look.table, kind: "", table: "" })}>Top</a>.
    </Note>
  );
}
