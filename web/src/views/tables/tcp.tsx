// TCP connections by far end and side: how long what takes, and what went wrong.

import { useAsk } from "../../api/ask";
import { QueryService, type TcpResponse_Row as Row } from "../../api/generated";
import type { ViewProps } from "../../app";
import { bytes, count } from "../../model/units";
import { useLook } from "../../state";
import { type Column, Rows } from "../../ui/rows";
import { AT_MOST_NOTE, Answer, labelText, questionOf, rare, timesColumn, useLabelColumns } from "./parts";

export function TcpTable({ span, onTick }: ViewProps) {
  const asked = useAsk(QueryService.tcp, questionOf(useLook(), span));
  const columns = columnsOf(useLabelColumns((row: Row) => row.labels));
  return (
    <Answer asked={asked} onTick={onTick} note={AT_MOST_NOTE} about={() => <b>TCP connections</b>}>
      {({ rows }) => <Rows label="TCP connections" columns={columns} rows={rows} text={textOf} />}
    </Answer>
  );
}

const textOf = (row: Row) => [row.farEnd, row.side, labelText(row.labels)].join("\n");

const failed = (row: Row) => row.refused + row.timedOut + row.abandoned;

/** Connects that came to nothing, by why. */
function failures({ refused, timedOut, abandoned }: Row): string {
  const all: [number, string][] = [
    [refused, "refused"],
    [timedOut, "timed out"],
    [abandoned, "given up"],
  ];
  const some = all.filter(([number]) => number > 0);
  return some.map(([number, why]) => `${count(number)} ${why}`).join(", ");
}

/** A column of a number that is mostly zero. */
const rareColumn = (name: string, title: string, value: (row: Row) => number): Column<Row> => ({
  name,
  title,
  look: "number",
  key: value,
  cell: (row) => rare(value(row)),
});

function columnsOf(labels: Column<Row>[]): Column<Row>[] {
  return [
    { name: "far", title: "Far end", look: "name short", key: (row) => row.farEnd, cell: (row) => row.farEnd },
    { name: "side", title: "This side is", look: "label", key: (row) => row.side, cell: (row) => row.side },
    ...labels,
    rareColumn("connects", "Connects", (row) => row.connect?.count ?? 0),
    { name: "failed", title: "Failed", look: "number", key: failed, cell: (row) => failures(row) || rare(0) },
    timesColumn("connect", "To connect", (row) => row.connect),
    timesColumn("queue", "In the accept queue", (row) => row.acceptQueue),
    timesColumn("first", "To the first byte", (row) => row.firstByte),
    timesColumn("rtt", "Round trip", (row) => row.rtt),
    rareColumn("retransmits", "Retransmits", (row) => row.retransmits),
    { name: "sent", title: "Sent", look: "number", key: (row) => row.bytesSent, cell: (row) => bytes(row.bytesSent) },
    { name: "received", title: "Received", look: "number", key: (row) => row.bytesReceived, cell: (row) => bytes(row.bytesReceived) },
  ];
}
