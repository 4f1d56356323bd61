// How a total goes over time, with a brush that chooses a span; and the same by label, as a heat map.

import { useRef, useState } from "preact/hooks";
import { type Span, selectionOf, useAsk } from "../api/ask";
import { QueryService, type SeriesResponse, type SeriesResponse_Line } from "../api/generated";
import { withCondition } from "../model/selector";
import { amount, moment, unitName } from "../model/units";
import { go, useLook } from "../state";

const NS = 1e9;
/** Size of the drawing's own units; it is stretched to the width of the page. */
const WIDTH = 1000;
const HEIGHT = 64;
/** Rows of the heat map: the heaviest. */
const ROWS_MAX = 10;
/** Narrower brushes are clicks. */
const BRUSH_MIN_PX = 5;
const LABELS = ["host", "service", "comm", "thread", "container", "unit", "build_id"];

export function Timeline({ span }: { span: Span }) {
  const look = useLook();
  const groupBy = look.by ? [look.by] : [];
  const { answer, error } = useAsk(QueryService.series, { selection: selectionOf(look, span), groupBy });
  const total = answer ? totals(answer, span) : [];
  const most = Math.max(1, ...total);
  const [brush, setBrush] = useState<[number, number] | undefined>();
  const area = useRef<HTMLDivElement>(null);
  const length = span.to - span.from;

  const at = (event: PointerEvent) => {
    const box = area.current!.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  const onDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    area.current!.setPointerCapture(event.pointerId);
    setBrush([at(event), at(event)]);
  };
  const onMove = (event: PointerEvent) => brush && setBrush([brush[0], at(event)]);
  const onUp = () => {
    if (!brush) return;
    setBrush(undefined);
    const [left, right] = [Math.min(...brush), Math.max(...brush)];
    if ((right - left) * area.current!.clientWidth < BRUSH_MIN_PX) return;
    choose(span.from + left * length, span.from + right * length, answer?.stepNs);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = length / 10;
    if (event.key === "ArrowLeft") choose(span.from - step, span.to - step);
    else if (event.key === "ArrowRight") choose(span.from + step, span.to + step);
    else if (event.key === "+" || event.key === "ArrowUp") choose(span.from + step, span.to - step);
    else if (event.key === "-" || event.key === "ArrowDown") choose(span.from - step, span.to + step);
    else return;
    event.preventDefault();
  };

  const peak = total.length ? Math.max(...total) : 0;
  const seconds = (answer?.stepNs ?? NS) / NS;
  return (
    <section class={look.by ? "timeline with-heat" : "timeline"} aria-label="Over time">
      <div class="timeline-head">
        <span class="muted">
          {answer ? `${unitName(answer.valueType)} per ${seconds} s, most ${amount(peak, answer.valueType)}` : " "}
          {error && error.message}
        </span>
        <span class="grow" />
        <label class="pick small">
          <span>Heat map by</span>
          <select value={look.by} onChange={(event) => go({ by: event.currentTarget.value }, "replace")}>
            <option value="">nothing</option>
            {LABELS.map((label) => (
              <option value={label}>{label}</option>
            ))}
          </select>
        </label>
      </div>
      <div
        class="plot"
        ref={area}
        tabIndex={0}
        role="slider"
        aria-label="Span of time: arrow keys move it, plus and minus change its length"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={100}
        aria-valuetext={`${moment(span.from, length)} to ${moment(span.to, length)}`}
        onPointerDown={onDown}
        onPointerMove={onMove}
        onPointerUp={onUp}
        onPointerCancel={() => setBrush(undefined)}
        onKeyDown={onKeyDown}
      >
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
          <path class="area" d={areaPath(total, most)} />
          <path class="line" d={linePath(total, most)} />
        </svg>
        {brush && (
          <div
            class="brush"
            style={{
              left: `${Math.min(...brush) * 100}%`,
              width: `${Math.abs(brush[1] - brush[0]) * 100}%`,
            }}
          />
        )}
      </div>
      <div class="axis muted" aria-hidden="true">
        {[0, 0.25, 0.5, 0.75, 1].map((part) => (
          <span>{moment(span.from + part * length, length)}</span>
        ))}
      </div>
      {look.by && answer && <HeatMap answer={answer} span={span} label={look.by} />}
    </section>
  );
}

/** Looks at a span, in whole steps where there are some. */
function choose(from: number, to: number, stepNs?: number): void {
  const step = stepNs ? stepNs / NS : 1;
  const start = Math.floor(from / step) * step;
  const end = Math.max(start + step, Math.ceil(to / step) * step);
  go({ from: String(Math.floor(start)), to: String(Math.ceil(end)), live: "" });
}

/** How many steps a span has, and which one a moment is in. */
function steps(answer: SeriesResponse, span: Span): { count: number; indexOf: (startNs: number) => number } {
  const step = answer.stepNs / NS || 1;
  const first = Math.floor(span.from / step);
  const count = Math.max(1, Math.ceil(span.to / step) - first);
  return { count, indexOf: (startNs) => Math.min(count - 1, Math.max(0, Math.floor(startNs / NS / step) - first)) };
}

function valuesOf(line: SeriesResponse_Line, answer: SeriesResponse, span: Span): number[] {
  const { count, indexOf } = steps(answer, span);
  const values = new Array<number>(count).fill(0);
  for (const point of line.points) values[indexOf(point.startNs)]! += point.value;
  return values;
}

function totals(answer: SeriesResponse, span: Span): number[] {
  const sum = new Array<number>(steps(answer, span).count).fill(0);
  for (const line of answer.lines) valuesOf(line, answer, span).forEach((value, i) => (sum[i]! += value));
  return sum;
}

function linePath(values: number[], most: number): string {
  const width = WIDTH / (values.length || 1);
  return values
    .map((value, i) => {
      const y = (HEIGHT - (value / most) * (HEIGHT - 4)).toFixed(1);
      return `${i === 0 ? "M" : "L"}${(i * width).toFixed(1)} ${y}H${((i + 1) * width).toFixed(1)}`;
    })
    .join("");
}

function areaPath(values: number[], most: number): string {
  return values.length ? `${linePath(values, most)}L${WIDTH} ${HEIGHT}H0Z` : "";
}

/** A row for each of the heaviest values of a label, a cell for each step. */
function HeatMap({ answer, span, label }: { answer: SeriesResponse; span: Span; label: string }) {
  const look = useLook();
  const rows = answer.lines
    .map((line) => {
      const values = valuesOf(line, answer, span);
      return { name: line.labels.find((each) => each.name === label)?.value ?? "", values, sum: values.reduce((a, b) => a + b, 0) };
    })
    .sort((a, b) => b.sum - a.sum);
  const shown = rows.slice(0, ROWS_MAX);
  const most = Math.max(1, ...shown.flatMap((row) => row.values));
  return (
    <div class="heat" role="list" aria-label={`Heat map by ${label}`}>
      {shown.map((row) => (
        <div class="heat-row" role="listitem">
          <button
            class="link"
            title={`Only ${label}="${row.name}"`}
            onClick={() => go({ q: withCondition(look.q, { name: label, op: "=", value: row.name }) })}
          >
            {row.name || "∅"}
          </button>
          <svg viewBox={`0 0 ${row.values.length} 1`} preserveAspectRatio="none" aria-hidden="true">
            {row.values.map(
              (value, i) =>
                value > 0 && (
                  <rect x={i} y="0" width="1.02" height="1" fill-opacity={(0.08 + 0.92 * Math.sqrt(value / most)).toFixed(2)} />
                ),
            )}
          </svg>
          <span class="number">{amount(row.sum, answer.valueType)}</span>
        </div>
      ))}
      {rows.length > ROWS_MAX && <p class="muted">{rows.length - ROWS_MAX} lighter ones are not shown.</p>}
      {rows.length === 0 && <p class="muted">No data in this span of time.</p>}
    </div>
  );
}
