// Light or dark: as the system says, unless someone chose.

import { useEffect, useState } from "preact/hooks";

const KEY = "profiler.theme";
const ORDER = ["system", "light", "dark"] as const;
export type Theme = (typeof ORDER)[number];

const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let chosen: Theme = ORDER.find((each) => each === localStorage.getItem(KEY)) ?? "system";

function apply(): void {
  const root = document.documentElement;
  if (chosen === "system") root.removeAttribute("data-theme");
  else root.dataset.theme = chosen;
  for (const tell of listeners) tell();
}

system.addEventListener("change", apply);
apply();

export function isDark(): boolean {
  return chosen === "dark" || (chosen === "system" && system.matches);
}

export function theme(): Theme {
  return chosen;
}

/** Takes the next theme. */
export function nextTheme(): void {
  chosen = ORDER[(ORDER.indexOf(chosen) + 1) % ORDER.length]!;
  localStorage.setItem(KEY, chosen);
  apply();
}

/** Whether it is dark; the component is drawn again when that changes. */
export function useDark(): boolean {
  const [dark, setDark] = useState(isDark());
  useEffect(() => {
    const tell = () => setDark(isDark());
    listeners.add(tell);
    return () => void listeners.delete(tell);
  }, []);
  return dark;
}
