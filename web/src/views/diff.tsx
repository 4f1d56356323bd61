// Two selections in one picture, and the functions that changed the most.

import { useMemo, useState } from "preact/hooks";
import { type Span, selectionOf, spanNs, useAsk } from "../api/ask";
import {
  Against,
  type Change,
  type DiffResponse,
  QueryService,
  type RegressionsResponse,
  type Selection,
  Weight,
} from "../api/generated";
import type { ViewProps } from "../app";
import { Explorer } from "../flame/explorer";
import { nodesMax } from "../flame/limits";
import { diffTreeOf, type Tree } from "../model/tree";
import { amount, moment, percent, points } from "../model/units";
import { DEFAULTS, go, linkTo, type State, useLook } from "../state";
import { Failure, Note } from "../ui/notes";

const ROWS_MAX = 40;
const EARLIER: [string, string][] = [
  ["span", "the span just before"],
  ["3600", "an hour earlier"],
  ["86400", "a day earlier"],
  ["604800", "a week earlier"],
  ["same", "the same span, other filter"],
];

/** What is compared with. */
function baseOf(look: State, span: Span): Selection {
  const earlier = look.base === "span" ? span.to - span.from : look.base === "same" ? 0 : Number(look.base);
  const own = look.bfrom && look.bto ? { from: Number(look.bfrom), to: Number(look.bto) } : undefined;
  const before = own ?? { from: span.from - earlier, to: span.to - earlier };
  return { signal: look.signal, kind: look.kind, selector: look.base === "same" ? look.bq : look.bq || look.q, ...spanNs(before) };
}

export function DiffView({ span, onTick }: ViewProps) {
  const look = useLook();
  const before = baseOf(look, span);
  const after = selectionOf(look, span);
  const { answer, error } = useAsk(QueryService.diff, { before, after, nodeLimit: nodesMax() });
  const tree = useMemo(() => answer && diffTreeOf(answer), [answer]);
  const [isTable, setTable] = useState(false);
  return (
    <>
      <Base before={before} />
      {error ? (
        <Failure error={error} onRetry={onTick} />
      ) : !answer || !tree ? (
        <Note>Reading both sides …</Note>
      ) : answer.beforeTotal === 0 || answer.afterTotal === 0 ? (
        <Note>
          {answer.beforeTotal === 0 ? "The side before" : "The side after"} has no samples: choose another span or filter.
        </Note>
      ) : (
        <>
          <div class="tabs" role="group" aria-label="Shown as">
            <button aria-pressed={!isTable} onClick={() => setTable(false)}>
              Picture
            </button>
            <button aria-pressed={isTable} onClick={() => setTable(true)}>
              Table
            </button>
            <span class="muted">
              before {amount(answer.beforeTotal, answer.valueType)}, after {amount(answer.afterTotal, answer.valueType)}; each side
              is taken as 100 %
            </span>
          </div>
          {isTable ? <ChangeTable tree={tree} before={before} after={after} /> : <DiffPicture tree={tree} answer={answer} />}
        </>
      )}
    </>
  );
}

function DiffPicture({ tree, answer }: { tree: Tree; answer: DiffResponse }) {
  const look = useLook();
  if (look.color === DEFAULTS.color) go({ color: "change" }, "replace");
  return (
    <Explorer tree={tree} selection={undefined} quality={answer.afterQuality} label="Flame graph of a comparison">
      <span class="legend" aria-hidden="true">
        <i class="less" /> less <i class="same" /> <i class="more" /> more
      </span>
    </Explorer>
  );
}

function Base({ before }: { before: Selection }) {
  const look = useLook();
  const from = before.startNs / 1e9;
  const to = before.endNs / 1e9;
  return (
    <div class="toolbar sub">
      <label class="pick">
        <span>Compared with</span>
        <select
          value={look.bfrom ? "own" : look.base}
          onChange={(event) => go({ base: event.currentTarget.value, bfrom: "", bto: "", zoom: "" })}
        >
          {look.bfrom && <option value="own">a span of its own</option>}
          {EARLIER.map(([value, text]) => (
            <option value={value}>{text}</option>
          ))}
        </select>
      </label>
      <label class="pick">
        <span>Filter before</span>
        <input
          value={look.bq}
          placeholder={look.base === "same" ? 'everything, or {service="api"}' : "as after"}
          spellcheck={false}
          onChange={(event) => go({ bq: event.currentTarget.value.trim() })}
        />
      </label>
      <span class="muted">
        {moment(from, 1200)} – {moment(to, 1200)}
      </span>
      <button
        title="Take the span of the timeline as the side before; then choose another one for after"
        onClick={() => go({ bfrom: String(Math.floor(from)), bto: String(Math.ceil(to)) })}
        disabled={Boolean(look.bfrom)}
      >
        Pin this span
      </button>
    </div>
  );
}

interface Row {
  name: string;
  before: number;
  after: number;
}

/** Shares of each function by itself, largest change first. */
function changes(tree: Tree): Row[] {
  const rows = new Map<number, Row>();
  const [before, after] = [tree.totalBefore![0]! || 1, tree.total[0]! || 1];
  for (let i = 1; i < tree.size; i++) {
    const name = tree.name[i]!;
    const row = rows.get(name) ?? { name: tree.strings[name]!, before: 0, after: 0 };
    row.before += tree.selfBefore![i]! / before;
    row.after += tree.self[i]! / after;
    rows.set(name, row);
  }
  const size = (row: Row) => Math.abs(row.after - row.before);
  return [...rows.values()].sort((a, b) => size(b) - size(a)).slice(0, ROWS_MAX);
}

/** What changed more than chance explains, where the service can tell; else what changed at all. */
function ChangeTable({ tree, before, after }: { tree: Tree; before: Selection; after: Selection }) {
  const question = { before, after, against: Against.BEFORE, weight: Weight.SELF, limit: ROWS_MAX };
  const { answer, isLoading } = useAsk(QueryService.regressions, question);
  if (isLoading && !answer) return <Note>Testing what changed …</Note>;
  return answer && answer.tested > 0 ? <Significant answer={answer} /> : <Changes tree={tree} />;
}

function Significant({ answer }: { answer: RegressionsResponse }) {
  const rows = [...answer.slower, ...answer.faster].sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference));
  return (
    <>
      <p class="note">
        {rows.length} of {answer.tested} functions changed more than chance explains.
        {answer.detectablePoints > 0 &&
          ` A change of ${percent(answer.detectablePoints)} of a function with a share of 5 % would be found nine times in ten.`}
      </p>
      {rows.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Changes">
          <table>
            <thead>
              <tr>
                <th scope="col" class="number">Change</th>
                <th scope="col" class="number">95 % interval</th>
                <th scope="col" class="number">Before</th>
                <th scope="col" class="number">After</th>
                <th scope="col">Function, by itself</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((change) => (
                <SignificantRow change={change} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

function SignificantRow({ change }: { change: Change }) {
  const name = change.place?.function ?? "";
  return (
    <tr title={`probability by chance, of all that were tested: ${change.qValue.toPrecision(2)}`}>
      <td class={`number ${change.difference > 0 ? "more" : "less"}`}>{points(change.difference)}</td>
      <td class="number muted">
        {points(change.differenceLow)} … {points(change.differenceHigh)}
      </td>
      <td class="number">{percent(change.beforeShare)}</td>
      <td class="number">{percent(change.afterShare)}</td>
      <td class="name">
        <a href={linkTo({ view: "function", fn: name })}>{name}</a>
      </td>
    </tr>
  );
}

function Changes({ tree }: { tree: Tree }) {
  const rows = useMemo(() => changes(tree), [tree]);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Changes">
      <table>
        <thead>
          <tr>
            <th scope="col" class="number">Change</th>
            <th scope="col" class="number">Before</th>
            <th scope="col" class="number">After</th>
            <th scope="col">Function, by itself</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr>
              <td class={`number ${row.after > row.before ? "more" : "less"}`}>{points(row.after - row.before)}</td>
              <td class="number">{percent(row.before)}</td>
              <td class="number">{percent(row.after)}</td>
              <td class="name">
                <a href={linkTo({ view: "function", fn: row.name })}>{row.name}</a>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
