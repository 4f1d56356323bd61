// The first view: what is wrong, what takes the time, who delivers.

import { type Asked, type Span, selectionOf, spanNs, useAsk } from "../api/ask";
import {
  type BottlenecksResponse,
  type Finding,
  GroupBy,
  QueryService,
  Severity,
  type TopResponse,
} from "../api/generated";
import { CODE } from "../api/grpc";
import type { ViewProps } from "../app";
import { withCondition } from "../model/selector";
import { ago, amount, count, percent } from "../model/units";
import { linkTo, useLook } from "../state";
import { Failure, Note, QualityBadge } from "../ui/notes";
import { Timeline } from "../ui/timeline";

const ROWS_MAX = 12;
const FINDINGS_MAX = 20;

const TONES: Record<number, [string, string]> = {
  [Severity.CRITICAL]: ["critical", "bad"],
  [Severity.WARNING]: ["warning", "fair"],
  [Severity.INFO]: ["info", "off"],
};

export function Overview({ span, now, onTick }: ViewProps) {
  const look = useLook();
  const selection = selectionOf(look, span);
  const functions = useAsk(QueryService.top, { selection, by: GroupBy.FUNCTION, limit: ROWS_MAX });
  const label = "comm";
  const programs = useAsk(QueryService.top, { selection, by: GroupBy.LABEL, label, limit: ROWS_MAX });
  if (functions.error) return <Failure error={functions.error} onRetry={onTick} />;
  return (
    <section class="page overview" aria-label="Overview">
      <div class="card wide">
        <Timeline span={span} />
      </div>
      <Findings span={span} />
      <Ranking
        title="Programs"
        asked={programs}
        more={linkTo({ view: "top", rows: label })}
        href={(name) => linkTo({ view: "flame", q: withCondition(look.q, { name: label, op: "=", value: name }) })}
      />
      <Ranking
        title="Functions, by themselves"
        asked={functions}
        more={linkTo({ view: "top", rows: "function" })}
        href={(name) => linkTo({ view: "function", fn: name })}
      />
      <Hosts span={span} now={now} />
    </section>
  );
}

function Findings({ span }: { span: Span }) {
  const look = useLook();
  const { answer, error, isLoading } = useAsk(QueryService.bottlenecks, { selector: look.q, ...spanNs(span), limit: FINDINGS_MAX });
  // A release that looks for nothing has no list of what it found.
  if (error?.code === CODE.unimplemented) return null;
  return (
    <div class="card wide">
      <h2>Findings</h2>
      {error && <Note tone="bad">{error.message}</Note>}
      {isLoading && !answer && <Note>Looking …</Note>}
      {answer && answer.findings.length === 0 && <Nothing answer={answer} />}
      <ol class="findings">{answer?.findings.map((finding) => <Found finding={finding} />)}</ol>
    </div>
  );
}

function Nothing({ answer }: { answer: BottlenecksResponse }) {
  const looked = answer.signals.length ? `Looked at ${answer.signals.join(", ")} of ${count(answer.services)} services: ` : "";
  return <Note>{looked}nothing stands out.</Note>;
}

function Found({ finding }: { finding: Finding }) {
  const [text, tone] = TONES[finding.severity] ?? ["", "off"];
  const { place, cost } = finding;
  const shown = { signal: finding.signal, kind: finding.valueKind, q: finding.selector };
  const href = place?.function
    ? linkTo({ view: "flame", ...shown, search: place.function })
    : linkTo({ view: "flame", ...shown });
  return (
    <li>
      <span class={`badge ${tone}`}>{text}</span>
      <div>
        <p>
          <a href={href}>{finding.summary}</a>
        </p>
        <p class="muted">
          {finding.kindName.replaceAll("_", " ")}
          {place?.file && ` · ${place.file}${place.line ? `:${place.line}` : ""}`}
          {finding.service && ` · ${finding.service}`}
          {finding.evidence.slice(0, 3).map((each) => ` · ${each.text}`)}
        </p>
        {finding.command && <code class="command">{finding.command}</code>}
      </div>
      <span class="number cost">
        {cost && <b>{percent(cost.value)}</b>}
        {cost && cost.low !== cost.high && (
          <span class="muted">
            {percent(cost.low)} – {percent(cost.high)}
          </span>
        )}
        <span class="muted">{finding.costOf && `of ${finding.costOf}`}</span>
      </span>
    </li>
  );
}

interface RankingProps {
  title: string;
  asked: Asked<TopResponse>;
  more: string;
  href: (name: string) => string;
}

function Ranking({ title, asked: { answer, error }, more, href }: RankingProps) {
  return (
    <div class="card">
      <h2>
        {title} <span class="grow" /> <a href={more}>all</a>
      </h2>
      {error && <Note tone="bad">{error.message}</Note>}
      {answer?.rows.length === 0 && <Note>Nothing was sampled in this span of time with these filters.</Note>}
      <ul class="shares">
        {answer?.rows.map((row) => (
          <li>
            <span class="bar" style={{ width: `${(row.self / (answer.total || 1)) * 100}%` }} aria-hidden="true" />
            <a href={href(row.name)} title={row.name}>
              {row.name || "∅"}
            </a>
            <span class="number">{percent(row.self / (answer.total || 1))}</span>
            <span class="number muted">{amount(row.self, answer.valueType)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Hosts({ span, now }: { span: Span; now: number }) {
  const { answer } = useAsk(QueryService.hosts, spanNs(span));
  if (!answer?.hosts.length) return null;
  const connected = answer.hosts.filter((host) => host.isConnected).length;
  return (
    <div class="card wide">
      <h2>
        Hosts <span class="muted">{`${connected} of ${answer.hosts.length} connected`}</span> <span class="grow" />{" "}
        <a href={linkTo({ view: "hosts" })}>all</a>
      </h2>
      <ul class="host-list">
        {answer.hosts.slice(0, ROWS_MAX).map((host) => (
          <li>
            <span class={`dot ${host.isConnected ? "good" : "off"}`} aria-hidden="true" />
            <b>{host.host}</b> <span class="muted">{ago(host.lastWindowNs / 1e9, now)}</span>
            <QualityBadge quality={host.quality} />
          </li>
        ))}
      </ul>
    </div>
  );
}
