// The frame around every view: where one can go, what is looked at. Views come in files of their own,
// loaded when they are first opened.

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type Span, spanOf, useNow } from "./api/ask";
import { linkTo, useLook } from "./state";
import { nextTheme, theme, useDark } from "./ui/theme";
import { Timeline } from "./ui/timeline";
import { Toolbar } from "./ui/toolbar";
import { Overview } from "./views/overview";

/** What every view is given. */
export interface ViewProps {
  span: Span;
  /** Now, in seconds since the epoch. */
  now: number;
  /** Asks everything again. */
  onTick: () => void;
}

interface Entry {
  title: string;
  load: () => Promise<ComponentType<ViewProps>>;
  /** Whether signal, time and filters matter. */
  hasToolbar: boolean;
  hasTimeline: boolean;
  /** Whether it is in the list that is always there. */
  isListed: boolean;
}

const VIEWS: Record<string, Entry> = {
  overview: entry("Overview", async () => Overview, { hasTimeline: false }),
  flame: entry("Flame graph", async () => (await import("./views/flame")).FlameView),
  top: entry("Top", async () => (await import("./views/top")).TopView),
  diff: entry("Compare", async () => (await import("./views/diff")).DiffView),
  tables: entry("Tables", async () => (await import("./views/tables")).TablesView),
  alerts: entry("Alerts", async () => (await import("./views/alerts")).AlertsView, { hasToolbar: false, hasTimeline: false }),
  hosts: entry("Hosts", async () => (await import("./views/hosts")).HostsView, { hasTimeline: false }),
  function: entry("Function", async () => (await import("./views/function")).FunctionView, { isListed: false, hasTimeline: false }),
};

function entry(title: string, load: Entry["load"], rest: Partial<Entry> = {}): Entry {
  return { title, load, hasToolbar: true, hasTimeline: true, isListed: true, ...rest };
}

const loaded = new Map<string, ComponentType<ViewProps>>([["overview", Overview]]);

/** A view's component, once it is there. */
function useView(name: string): ComponentType<ViewProps> | undefined {
  const [, setCount] = useState(0);
  useEffect(() => {
    if (loaded.has(name)) return;
    VIEWS[name]!.load().then((component) => {
      loaded.set(name, component);
      setCount((count) => count + 1);
    });
  }, [name]);
  return loaded.get(name);
}

export function App() {
  const look = useLook();
  const name = look.view in VIEWS ? look.view : "overview";
  const view = VIEWS[name]!;
  const [now, onTick] = useNow(look.live === "1", look.last + look.from);
  const span = spanOf(look, now);
  const View = useView(name);
  useEffect(() => {
    document.title = `${name === "function" && look.fn ? look.fn : view.title} – profiler`;
  }, [name, look.fn]);
  return (
    <>
      <a class="skip" href="#main" onClick={toMain}>
        To the content
      </a>
      <Header name={name} />
      {view.hasToolbar && <Toolbar span={span} onTick={onTick} />}
      {view.hasTimeline && <Timeline span={span} />}
      <main id="main" tabIndex={-1}>
        {View ? <View span={span} now={now} onTick={onTick} /> : <p class="note">Loading …</p>}
      </main>
    </>
  );
}

/** The address holds the view, so that this link must not change it. */
function toMain(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Header({ name }: { name: string }) {
  const look = useLook();
  useDark();
  const [, redraw] = useState(0);
  // Zoom and search belong to one picture, the signal of a table to the tables; time and filters go
  // along to every view.
  const signal = name === "tables" ? { signal: "", kind: "" } : {};
  const to = (view: string) =>
    linkTo({ view, zoom: "", sandwich: "", fn: "", search: view === look.view ? look.search : "", ...signal });
  return (
    <header>
      <a class="brand" href={to("overview")}>
        <svg viewBox="0 0 16 16" width="20" height="20" aria-hidden="true">
          <rect x="1" y="11" width="14" height="4" rx="1" fill="#e5622a" />
          <rect x="1" y="6" width="9" height="4" rx="1" fill="#f0913b" />
          <rect x="3" y="1" width="5" height="4" rx="1" fill="#f6bb4f" />
        </svg>
        profiler
      </a>
      <nav aria-label="Views">
        {Object.entries(VIEWS)
          .filter(([, view]) => view.isListed)
          .map(([key, view]) => (
            <a href={to(key)} aria-current={key === name ? "page" : undefined}>
              {view.title}
            </a>
          ))}
      </nav>
      <button
        class="plain theme"
        aria-label={`Colours: ${theme()}. Change`}
        title={`Colours: ${theme()}`}
        onClick={() => {
          nextTheme();
          redraw((count) => count + 1);
        }}
      >
        {theme() === "system" ? "◐" : theme() === "light" ? "○" : "●"}
      </button>
    </header>
  );
}
