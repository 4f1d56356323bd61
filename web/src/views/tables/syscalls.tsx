// System calls: how many, how they ended, how long they took.

import { useAsk } from "../../api/ask";
import { QueryService, type SyscallsResponse_Row as Row } from "../../api/generated";
import type { ViewProps } from "../../app";
import { count, duration, percent, rate } from "../../model/units";
import { useLook } from "../../state";
import { type Column, Rows } from "../../ui/rows";
import { AT_MOST_NOTE, Answer, labelText, length, mean, questionOf, rare, timesColumn, useLabelColumns } from "./parts";

/** Errors of a call that a row shows by name. */
const ERRORS_SHOWN = 4;

export function SyscallsTable({ span, onTick }: ViewProps) {
  const look = useLook();
  const asked = useAsk(QueryService.syscalls, questionOf(look, span));
  const columns = columnsOf(asked.answer?.timeNs || 1, useLabelColumns((row: Row) => row.labels));
  return (
    <Answer
      asked={asked}
      onTick={onTick}
      note={AT_MOST_NOTE}
      about={({ timeNs }) => (
        <span>
          <b>{duration(timeNs)}</b> in system calls
        </span>
      )}
    >
      {({ rows }) => <Rows label="System calls" columns={columns} rows={rows} text={textOf} />}
    </Answer>
  );
}

const timeOf = (row: Row) => row.times?.timeNs ?? 0;
const textOf = (row: Row) => [row.call, labelText(row.labels), ...row.errors.map((error) => error.cause)].join("\n");

function columnsOf(all: number, labels: Column<Row>[]): Column<Row>[] {
  return [
    { name: "call", title: "Call", look: "name short", key: (row) => row.call, cell: (row) => row.call },
    ...labels,
    { name: "time", title: "Time in it", look: "number weight", key: timeOf, cell: (row) => <Time row={row} all={all} /> },
    { name: "calls", title: "Calls", look: "number", key: (row) => row.times?.count ?? 0, cell: (row) => count(row.times?.count ?? 0) },
    { name: "rate", title: "A second", look: "number", key: (row) => row.perSecond, cell: (row) => rate(row.perSecond) },
    { name: "mean", title: "Mean", look: "number", key: (row) => mean(row.times), cell: (row) => length(mean(row.times)) },
    timesColumn("times", "One call", (row) => row.times, true),
    { name: "failed", title: "Failed", look: "number", key: (row) => row.failed, cell: (row) => rare(row.failed) },
    { name: "errors", title: "Errors", look: "parts", cell: (row) => <Errors row={row} /> },
  ];
}

/** The time in all of these calls, and its share. */
function Time({ row, all }: { row: Row; all: number }) {
  const time = timeOf(row);
  const going = row.inFlightNs > 0 ? `${duration(row.inFlightNs)} of it in calls that had not ended` : undefined;
  return (
    <>
      <span class="bar" style={{ width: `${Math.min(100, (time / all) * 100)}%` }} aria-hidden="true" />
      <span class="share" title={going}>
        {duration(time)} <span class="muted">{percent(time / all)}</span>
      </span>
    </>
  );
}

function Errors({ row: { errors } }: { row: Row }) {
  const shown = errors.slice(0, ERRORS_SHOWN).map((error) => `${error.cause} ${count(error.count)}`);
  const rest = errors.slice(ERRORS_SHOWN).map((error) => `${error.cause} ${count(error.count)}`);
  return <span title={rest.join(", ") || undefined}>{[...shown, ...(rest.length ? ["…"] : [])].join(", ")}</span>;
}
