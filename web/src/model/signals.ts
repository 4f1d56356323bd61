// What is watched, and the tables that some of it is counted in.

/** Signals of daemons, in the order in which they are offered, and how people call them. */
const TITLES: Record<string, string> = {
  cpu: "CPU",
  offcpu: "Off the CPU",
  alloc: "Allocations",
  page_fault: "Page faults",
  syscall: "System calls",
  syscall_counts: "System calls, counted",
  tcp: "TCP waits",
  tcp_counts: "TCP, counted",
};
const ORDER = Object.keys(TITLES);

export function signalTitle(signal: string): string {
  return TITLES[signal] ?? signal;
}

/** Signals in their order; those of uploads come last, by name. */
export function inOrder(signals: string[]): string[] {
  const rank = (signal: string) => (signal in TITLES ? ORDER.indexOf(signal) : ORDER.length);
  return [...signals].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

export interface TableKind {
  /** In the address. */
  name: string;
  title: string;
  /** What it is made from, and the kind of value of it that a picture shows; the first one when empty. */
  signal: string;
  kind: string;
}

export const TABLES: TableKind[] = [
  { name: "syscall_counts", title: "System calls", signal: "syscall_counts", kind: "time" },
  { name: "tcp_counts", title: "TCP", signal: "tcp_counts", kind: "" },
  { name: "alloc", title: "Heap", signal: "alloc", kind: "alloc_space" },
  { name: "leaks", title: "Leaks", signal: "alloc", kind: "alloc_space" },
];

/** The table of a name; `undefined` for one that there is none of any more. */
export function tableOf(name: string): TableKind | undefined {
  return name ? TABLES.find((table) => table.name === name) : TABLES[0];
}

/** Signal and kind of value that a state looks at: of a table those that it is made from. */
export function watched(look: { view: string; table: string; signal: string; kind: string }): { signal: string; kind: string } {
  const table = look.view === "tables" ? tableOf(look.table) : undefined;
  return table ? { signal: table.signal, kind: table.kind } : { signal: look.signal, kind: look.kind };
}
