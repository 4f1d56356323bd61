// What is looked at: signal, kind of value, time, filters.

import { type Span, spanNs, useAsk } from "../api/ask";
import { QueryService } from "../api/generated";
import { duration, moment } from "../model/units";
import { go, useLook } from "../state";
import { FilterBar } from "./filter";

const RANGES: [string, string][] = [
  ["300", "5 minutes"],
  ["900", "15 minutes"],
  ["3600", "1 hour"],
  ["21600", "6 hours"],
  ["86400", "1 day"],
  ["604800", "7 days"],
  ["2592000", "30 days"],
];

export function Toolbar({ span, onTick }: { span: Span; onTick: () => void }) {
  const look = useLook();
  const minute = { from: Math.floor(span.from / 60) * 60, to: Math.ceil(span.to / 60) * 60 };
  const signals = useAsk(QueryService.listSignals, spanNs(minute)).answer?.signals ?? [];
  const signal = look.signal || "cpu";
  const kinds = signals.find((each) => each.signal === signal)?.valueTypes ?? [];
  const names = signals.map((each) => each.signal);
  if (!names.includes(signal)) names.unshift(signal);
  return (
    <div class="toolbar" role="toolbar" aria-label="What is shown">
      <label class="pick">
        <span>Signal</span>
        <select value={signal} onChange={(event) => go({ signal: event.currentTarget.value, kind: "", zoom: "" })}>
          {names.map((name) => (
            <option value={name}>{name}</option>
          ))}
        </select>
      </label>
      {kinds.length > 1 && (
        <label class="pick">
          <span>Value</span>
          <select value={look.kind || kinds[0]!.kind} onChange={(event) => go({ kind: event.currentTarget.value })}>
            {kinds.map(({ kind, unit }) => (
              <option value={kind}>{unit === "count" ? kind : `${kind} (${unit})`}</option>
            ))}
          </select>
        </label>
      )}
      <RangePick span={span} />
      <FilterBar span={minute} />
      <div class="grow" />
      <button
        class={look.live ? "on" : ""}
        aria-pressed={look.live === "1"}
        disabled={Boolean(look.from)}
        title="Ask again every ten seconds"
        onClick={() => go({ live: look.live ? "" : "1" }, "replace")}
      >
        Live
      </button>
      <button title="Ask again" onClick={onTick}>
        Refresh
      </button>
    </div>
  );
}

function RangePick({ span }: { span: Span }) {
  const look = useLook();
  const isOwn = Boolean(look.from);
  const length = span.to - span.from;
  const shift = (by: number) =>
    go({ from: String(Math.round(span.from + by * length)), to: String(Math.round(span.to + by * length)), live: "" });
  return (
    <span class="range">
      <button aria-label="Earlier" title="Earlier" onClick={() => shift(-0.5)}>
        ‹
      </button>
      <label class="pick">
        <span>Time</span>
        <select
          value={isOwn ? "own" : look.last}
          onChange={(event) => go({ last: event.currentTarget.value, from: "", to: "" })}
        >
          {isOwn && (
            <option value="own">
              {moment(span.from, length)} – {moment(span.to, length)}
            </option>
          )}
          {RANGES.map(([value, text]) => (
            <option value={value}>last {text}</option>
          ))}
          {!isOwn && !RANGES.some(([value]) => value === look.last) && <option value={look.last}>last {duration(Number(look.last) * 1e9)}</option>}
        </select>
      </label>
      <button aria-label="Later" title="Later" onClick={() => shift(0.5)} disabled={!isOwn}>
        ›
      </button>
    </span>
  );
}
