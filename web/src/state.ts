// What is looked at. It is all in the address, so that a link restores the view.

import { useEffect, useState } from "preact/hooks";

/** Everything that a link holds; what is at its default is left out of the address. */
export const DEFAULTS = {
  view: "overview",
  signal: "",
  kind: "",
  /** Selector in PromQL's style. */
  q: "",
  /** Seconds back from now; used unless `from` and `to` are there. */
  last: "3600",
  /** Seconds since the Unix epoch. */
  from: "",
  to: "",
  /** `1` asks again every ten seconds. */
  live: "",
  /** Label that the timeline is divided by. */
  by: "",
  search: "",
  /** Names from the root to the frame that is zoomed into, each packed for an address. */
  zoom: "",
  /** Function that callers and callees are shown of. */
  sandwich: "",
  /** `1` draws the root at the bottom. */
  up: "",
  color: "kind",
  /** What rows of the top table stand for. */
  rows: "function",
  sort: "self",
  /** What a diff compares with: seconds earlier, or a span and a selector of its own. */
  base: "3600",
  bfrom: "",
  bto: "",
  bq: "",
  fn: "",
  /** Signal of the tables. */
  table: "",
};

export type State = typeof DEFAULTS;
export type Key = keyof State;

const KEYS = Object.keys(DEFAULTS) as Key[];

/** Reads the part of an address after `#`. */
export function parse(hash: string): State {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?");
  const given = new URLSearchParams(query);
  const state = { ...DEFAULTS };
  for (const key of KEYS) state[key] = given.get(key) ?? DEFAULTS[key];
  state.view = path || DEFAULTS.view;
  return state;
}

/** The address of a state. */
export function href(state: State): string {
  const query = new URLSearchParams();
  for (const key of KEYS) {
    if (key !== "view" && state[key] !== DEFAULTS[key]) query.set(key, state[key]);
  }
  const text = query.toString();
  return `#/${state.view}${text ? `?${text}` : ""}`;
}

let current = parse(location.hash);
const listeners = new Set<() => void>();

addEventListener("hashchange", () => {
  current = parse(location.hash);
  for (const tell of listeners) tell();
});

/** What is looked at now. */
export function state(): State {
  return current;
}

/** The address of the present state with changes. */
export function linkTo(change: Partial<State>): string {
  return href({ ...current, ...change });
}

/** Looks at something else: as a step in the history, or in place of the present one. */
export function go(change: Partial<State>, how: "step" | "replace" = "step"): void {
  const next = { ...current, ...change };
  const address = href(next);
  if (address === href(current)) return;
  current = next;
  history[how === "step" ? "pushState" : "replaceState"](null, "", address);
  for (const tell of listeners) tell();
}

addEventListener("popstate", () => {
  current = parse(location.hash);
  for (const tell of listeners) tell();
});

/** The present state; the component is drawn again when it changes. */
export function useLook(): State {
  const [look, setLook] = useState(current);
  useEffect(() => {
    const tell = () => setLook(current);
    tell();
    listeners.add(tell);
    return () => void listeners.delete(tell);
  }, []);
  return look;
}
