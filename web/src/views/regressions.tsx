// What changed lately, service by service: against the build before, yesterday and last week.

import { useEffect, useState } from "preact/hooks";
import { ask, selectionOf, useAsk } from "../api/ask";
import { Against, QueryService, type RegressionsResponse, type Selection, Weight } from "../api/generated";
import { CODE, CallError } from "../api/grpc";
import type { ViewProps } from "../app";
import { withCondition } from "../model/selector";
import { count } from "../model/units";
import { linkTo, useLook } from "../state";
import { Failure, Note } from "../ui/notes";
import { ChangeRows, changesOf, summary } from "./changes";

/** Most services that are compared. */
const SERVICES_MAX = 64;
/** Functions that a comparison lists, slower and faster each. */
const ROWS_MAX = 10;
/** With what each service is compared. */
const COMPARED: [Against, string][] = [
  [Against.PREVIOUS_BUILD, "the build before"],
  [Against.YESTERDAY, "yesterday"],
  [Against.LAST_WEEK, "last week"],
];

/** One service against one of its pasts. */
interface Lately {
  service: string;
  against: string;
  answer: RegressionsResponse;
}

export function RegressionsView({ span, onTick }: ViewProps) {
  const look = useLook();
  const selection = selectionOf(look, span);
  const { answer, error } = useAsk(QueryService.labelValues, { selection, name: "service", limit: SERVICES_MAX });
  const { found, looked, problem } = useLately(answer?.values, selection);
  if (error ?? problem) return <Failure error={(error ?? problem)!} onRetry={onTick} />;
  if (!answer) return <Note>Looking for services …</Note>;
  const isDone = looked === answer.values.length;
  const changed = found.filter((each) => changesOf(each.answer).length > 0);
  const same = found.filter((each) => changesOf(each.answer).length === 0);
  return (
    <section class="page" aria-label="Regressions">
      <p class="note" role="status">
        {isDone ? told(found.length, changed.length, answer.values.length) : `${looked} of ${answer.values.length} services compared …`}
      </p>
      {changed.map((each) => (
        <Changed lately={each} />
      ))}
      {same.length > 0 && <Same all={same} />}
    </section>
  );
}

/** What came out, in a sentence. */
function told(compared: number, changed: number, services: number): string {
  if (services === 0) return "No service has data in this span of time with these filters.";
  if (compared === 0) return "There is nothing yet to compare this span of time with: no build before, and nothing of yesterday or last week.";
  return `${count(compared)} comparisons of ${count(services)} services with their build before, yesterday and last week: ${count(changed)} with changes.`;
}

/** Compares one service after the other; a list that grows. */
function useLately(services: string[] | undefined, selection: Selection) {
  const none = { found: [] as Lately[], looked: 0, problem: undefined as CallError | undefined };
  const [state, setState] = useState(none);
  useEffect(() => {
    setState(none);
    if (!services) return;
    const stop = new AbortController();
    const all = async () => {
      for (const service of services) {
        const found = await compareOne(service, selection, stop.signal);
        if (stop.signal.aborted) return;
        setState((before) => ({ ...before, found: [...before.found, ...found], looked: before.looked + 1 }));
      }
    };
    all().catch((error: unknown) => {
      const problem = error instanceof CallError ? error : new CallError(CODE.unknown, String(error));
      if (!stop.signal.aborted) setState((before) => ({ ...before, problem }));
    });
    return () => stop.abort();
  }, [JSON.stringify([services, selection])]);
  return state;
}

/** A service against all of its pasts that there are. */
async function compareOne(service: string, selection: Selection, signal: AbortSignal): Promise<Lately[]> {
  const after = { ...selection, selector: withCondition(selection.selector, { name: "service", op: "=", value: service }) };
  const one = async ([against, text]: [Against, string]): Promise<Lately[]> => {
    const question = { before: undefined, after, against, weight: Weight.SELF, limit: ROWS_MAX };
    try {
      const answer = await ask(QueryService.regressions, question, signal);
      return answer.beforeSamples > 0 && answer.afterSamples > 0 ? [{ service, against: text, answer }] : [];
    } catch (error) {
      // There is no build before the present one.
      if (error instanceof CallError && error.code === CODE.notFound) return [];
      throw error;
    }
  };
  return (await Promise.all(COMPARED.map(one))).flat();
}

/** The flame graph of both sides. */
function toDiff({ before, after }: RegressionsResponse): string {
  if (!before || !after) return linkTo({ view: "diff" });
  return linkTo({
    view: "diff",
    signal: after.signal,
    kind: after.kind,
    ...{ q: after.selector, from: seconds(after.startNs, Math.floor), to: seconds(after.endNs, Math.ceil) },
    ...{ base: "same", bq: before.selector, bfrom: seconds(before.startNs, Math.floor), bto: seconds(before.endNs, Math.ceil) },
  });
}

const seconds = (ns: number, round: (value: number) => number) => String(round(ns / 1e9));

function Changed({ lately: { service, against, answer } }: { lately: Lately }) {
  return (
    <section class="signal card" aria-label={`${service} against ${against}`}>
      <h2>
        {service} <span class="muted">against {against}</span>
        <span class="grow" />
        <a href={toDiff(answer)}>both sides as a flame graph</a>
      </h2>
      <p class="muted">{summary(answer)}</p>
      <ChangeRows changes={changesOf(answer)} label={`What changed in ${service} against ${against}`} />
    </section>
  );
}

/** Comparisons in which nothing changed. */
function Same({ all }: { all: Lately[] }) {
  return (
    <section class="signal card" aria-label="Nothing changed">
      <h2>Nothing changed more than chance explains</h2>
      <ul class="plain-list">
        {all.map(({ service, against, answer }) => (
          <li>
            <b>{service}</b> against {against}{" "}
            <span class="muted">
              {count(answer.tested)} functions tested, {count(Math.round(answer.beforeSamples))} and{" "}
              {count(Math.round(answer.afterSamples))} samples
            </span>{" "}
            <a href={toDiff(answer)}>as a flame graph</a>
          </li>
        ))}
      </ul>
    </section>
  );
}
