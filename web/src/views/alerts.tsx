// Alerts as they stand, who is told, and what happened.

import { useState } from "preact/hooks";
import { useAsk } from "../api/ask";
import { type Alert, AlertService, AlertState, type ListAlertsResponse, Severity } from "../api/generated";
import { CODE, call } from "../api/grpc";
import type { ViewProps } from "../app";
import { ago, moment } from "../model/units";
import { Failure, Note } from "../ui/notes";

/** How long the button keeps an alert quiet. */
const SILENCE_NS = 3600e9;
/** How far back the history goes. */
const HISTORY_SECONDS = 7 * 86400;
const HISTORY_MAX = 200;

const STATES: Record<number, [string, string]> = {
  [AlertState.OK]: ["kept", "good"],
  [AlertState.PENDING]: ["broken, not yet for long", "fair"],
  [AlertState.FIRING]: ["firing", "bad"],
  [AlertState.CLEARING]: ["kept again, not yet for long", "fair"],
};

const SEVERITIES: Record<number, string> = {
  [Severity.INFO]: "info",
  [Severity.WARNING]: "warning",
  [Severity.CRITICAL]: "critical",
};

export function AlertsView({ now, onTick }: ViewProps) {
  const { answer, error } = useAsk(AlertService.listAlerts, { withOk: true });
  if (error?.code === CODE.unimplemented) return <Note>This service looks after no budget. See docs/ci.md for how to write one.</Note>;
  if (error) return <Failure error={error} onRetry={onTick} />;
  if (!answer) return <Note>Reading alerts …</Note>;
  return (
    <section class="page" aria-label="Alerts">
      {!answer.hasBudget && <Note>This service has no budget: nothing is looked after. Give it a budget.toml.</Note>}
      {answer.alerts.length > 0 && <Alerts alerts={answer.alerts} now={now} onTick={onTick} />}
      <Receivers answer={answer} />
      <History now={now} />
    </section>
  );
}

function State({ state }: { state: AlertState }) {
  const [text, tone] = STATES[state] ?? ["unknown", "off"];
  return (
    <>
      <span class={`dot ${tone}`} aria-hidden="true" /> {text}
    </>
  );
}

/** Keeps an alert quiet for an hour; needs the role `write`. */
function Silence({ alert, onTick }: { alert: Alert; onTick: () => void }) {
  const [problem, setProblem] = useState("");
  const onClick = () => {
    const question = { pattern: alert.name, durationNs: SILENCE_NS, comment: "from the page", author: "page" };
    call(AlertService.silence, question).then(onTick, (error: Error) => setProblem(error.message));
  };
  return (
    <>
      <button onClick={onClick}>Silence for 1 h</button> {problem && <span class="bad">{problem}</span>}
    </>
  );
}

function Alerts({ alerts, now, onTick }: { alerts: Alert[]; now: number; onTick: () => void }) {
  const rank = (alert: Alert) => [AlertState.FIRING, AlertState.PENDING, AlertState.CLEARING].indexOf(alert.state) >>> 0;
  const sorted = [...alerts].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Table of alerts">
      <table>
        <thead>
          <tr>
            <th scope="col">Limit</th>
            <th scope="col">State</th>
            <th scope="col">Severity</th>
            <th scope="col" class="number">Measured</th>
            <th scope="col" class="number">Limit</th>
            <th scope="col">Since</th>
            <th scope="col">What</th>
            <td />
          </tr>
        </thead>
        <tbody>
          {sorted.map((alert) => (
            <tr>
              <th scope="row">{alert.name}</th>
              <td>
                <State state={alert.state} />
                {alert.silentUntilNs / 1e9 > now && <span class="muted"> (silent until {moment(alert.silentUntilNs / 1e9, 86400)})</span>}
              </td>
              <td>{SEVERITIES[alert.severity] ?? ""}</td>
              <td class="number">{alert.last?.valueText}</td>
              <td class="number">{alert.last?.limitText}</td>
              <td>{ago(alert.sinceNs / 1e9, now)}</td>
              <td>{alert.last?.summary}</td>
              <td>
                {alert.state !== AlertState.OK && alert.silentUntilNs / 1e9 <= now && <Silence alert={alert} onTick={onTick} />}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Receivers({ answer }: { answer: ListAlertsResponse }) {
  if (answer.receivers.length === 0) return null;
  return (
    <>
      <h2>Receivers</h2>
      <ul class="plain-list">
        {answer.receivers.map((receiver) => (
          <li>
            <span class={`dot ${receiver.lastError ? "bad" : "good"}`} aria-hidden="true" /> {receiver.name} ({receiver.kind}):{" "}
            {receiver.delivered} delivered, {receiver.failed} failed {receiver.lastError && <span class="muted">{receiver.lastError}</span>}
          </li>
        ))}
      </ul>
    </>
  );
}

function History({ now }: { now: number }) {
  const startNs = (now - HISTORY_SECONDS) * 1e9;
  const { answer } = useAsk(AlertService.alertHistory, { startNs, endNs: now * 1e9, limit: HISTORY_MAX });
  if (!answer?.events.length) return null;
  return (
    <>
      <h2>What happened</h2>
      <ul class="plain-list">
        {answer.events.map((event) => (
          <li>
            <time class="muted">{moment(event.atNs / 1e9, 7 * 86400)}</time> <b>{event.name}</b> <State state={event.to} />{" "}
            {event.summary}
          </li>
        ))}
      </ul>
    </>
  );
}
