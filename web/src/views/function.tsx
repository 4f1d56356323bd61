// Everything known of one function: the ledger, then each signal with callers, callees and lines.

import { selectionOf, useAsk } from "../api/ask";
import {
  type FunctionResponse,
  type FunctionResponse_LedgerRow,
  type FunctionResponse_Part,
  type FunctionResponse_PerSignal,
  QueryService,
  type ValueType,
} from "../api/generated";
import type { ViewProps } from "../app";
import { withCondition } from "../model/selector";
import { amount, percent } from "../model/units";
import { go, linkTo, useLook } from "../state";
import { Failure, Note, QualityBadge } from "../ui/notes";

const SHARES_MAX = 20;

export function FunctionView({ span, onTick }: ViewProps) {
  const look = useLook();
  const question = look.fn ? { function: look.fn, selection: selectionOf(look, span), limit: SHARES_MAX } : undefined;
  const { answer, error, isLoading } = useAsk(QueryService.function, question);
  return (
    <section class="page function" aria-label="Function">
      <form
        class="tools"
        onSubmit={(event) => {
          event.preventDefault();
          const field = (event.currentTarget as HTMLFormElement).elements.namedItem("fn") as HTMLInputElement;
          go({ fn: field.value.trim() });
        }}
      >
        <input class="search wide" name="fn" value={look.fn} placeholder="Exact name of a function" aria-label="Name of a function" spellcheck={false} />
        <button>Show</button>
        <a class="button" href={linkTo({ view: "flame", sandwich: look.fn })}>
          Callers and callees
        </a>
        <a class="button" href={linkTo({ view: "flame", search: look.fn })}>
          In the flame graph
        </a>
      </form>
      {!look.fn ? (
        <Note>Choose a function in the flame graph or the table, or write its name.</Note>
      ) : error ? (
        <Failure error={error} onRetry={onTick} />
      ) : !answer ? (
        isLoading && <Note>Looking through all signals …</Note>
      ) : (
        <Facts answer={answer} name={look.fn} />
      )}
    </section>
  );
}

function Facts({ answer, name }: { answer: FunctionResponse; name: string }) {
  return (
    <>
      <h1>
        <code>{name}</code>
      </h1>
      <p class="muted">{[...answer.files, ...answer.modules].join(" · ") || "no file known"}</p>
      {answer.signals.length === 0 && <Note>No signal has this function in this span of time with these filters.</Note>}
      <Ledger answer={answer} />
      {answer.signals.map((signal) => (
        <Signal signal={signal} />
      ))}
    </>
  );
}

/** A row for each number: as the service made the ledger, or from the signals alone. */
function Ledger({ answer }: { answer: FunctionResponse }) {
  if (answer.signals.length === 0) return null;
  const rows = answer.ledger.length ? answer.ledger : answer.signals.flatMap(rowsOf);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Ledger">
      <table class="ledger">
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col" class="number">Value</th>
            <th scope="col" class="number">Share</th>
            <th scope="col">Made of</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr>
              <th scope="row">{row.text}</th>
              <td class="number">
                {amount(row.value, row.valueType)}
                {row.perSecond !== 0 && <div class="muted">{amount(row.perSecond, row.valueType)}/s</div>}
              </td>
              <td class="number weight">
                <span class="bar" style={{ width: `${Math.min(100, row.share * 100)}%` }} aria-hidden="true" />
                <span class="share">{percent(row.share)}</span>
              </td>
              <td class="parts">{row.parts.slice(0, 6).map((part) => partText(part, row.valueType)).join(", ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

type LedgerLine = Pick<FunctionResponse_LedgerRow, "text" | "value" | "valueType" | "perSecond" | "share"> & {
  parts: FunctionResponse_Part[];
};

function rowsOf(signal: FunctionResponse_PerSignal): LedgerLine[] {
  const of = signal.selectionTotal || 1;
  const services = signal.byService.map((each) => ({ name: each.name || "no service", value: each.value, perSecond: 0, meanNs: 0 }));
  const common = { valueType: signal.valueType, perSecond: 0 };
  return [
    { ...common, text: `${signal.signal}, by itself`, value: signal.self, share: signal.self / of, parts: [] },
    { ...common, text: `${signal.signal}, with callees`, value: signal.total, share: signal.total / of, parts: services },
  ];
}

function partText(part: FunctionResponse_Part, type: ValueType | undefined): string {
  return `${part.name} ${amount(part.value, type)}`;
}

function Signal({ signal }: { signal: FunctionResponse_PerSignal }) {
  const look = useLook();
  const bySelf = (name: string) => linkTo({ view: "function", fn: name });
  const ofService = (name: string) => linkTo({ q: withCondition(look.q, { name: "service", op: "=", value: name }) });
  return (
    <section class="signal card">
      <h2>
        {signal.signal} <span class="muted">{percent(signal.total / (signal.selectionTotal || 1))} with callees</span>
        <span class="grow" />
        <QualityBadge quality={signal.quality} />
      </h2>
      <div class="columns">
        <Shares title="Called by" rows={signal.callers} signal={signal} href={bySelf} />
        <Shares title="Calls" rows={signal.callees} signal={signal} href={bySelf} />
        <Shares title="Services" rows={signal.byService} signal={signal} href={ofService} />
        <Lines signal={signal} />
      </div>
    </section>
  );
}

interface SharesProps {
  title: string;
  rows: { name: string; value: number }[];
  signal: FunctionResponse_PerSignal;
  href: (name: string) => string;
}

function Shares({ title, rows, signal, href }: SharesProps) {
  return (
    <div>
      <h3>{title}</h3>
      {rows.length === 0 && <p class="muted">nothing seen</p>}
      <ul class="shares">
        {rows.map(({ name, value }) => (
          <li>
            <a href={href(name)} title={name}>
              {name || "∅"}
            </a>
            <span class="number">{percent(value / (signal.total || 1))}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Lines({ signal }: { signal: FunctionResponse_PerSignal }) {
  return (
    <div>
      <h3>Lines, by themselves</h3>
      {signal.lines.length === 0 && <p class="muted">no line known</p>}
      <ul class="shares">
        {signal.lines.map(({ file, line, self }) => (
          <li>
            <code title={`${file}:${line}`}>
              {file.split("/").pop()}
              {line > 0 && `:${line}`}
            </code>
            <span class="number">{percent(self / (signal.self || 1))}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
