// Memory that keeps growing: by how much, and how sure that is.

import { useAsk } from "../../api/ask";
import { type LeaksResponse, type LeaksResponse_Row as Row, QueryService } from "../../api/generated";
import type { ViewProps } from "../../app";
import { count, percent } from "../../model/units";
import { go, useLook } from "../../state";
import { Note } from "../../ui/notes";
import { type Column, Rows } from "../../ui/rows";
import { Answer, age, growth, Place, placesOf, placeText, questionOf, useLabelColumns } from "./parts";

/** How sure growth must be to be listed unless everything is wanted. */
const CONFIDENCE_LEAST = 0.95;
const NOTE = "The interval holds the growth an hour nineteen times in twenty. Growth is looked at in slices of the time.";

export function LeaksTable({ span, onTick }: ViewProps) {
  const look = useLook();
  const asked = useAsk(QueryService.leaks, { ...questionOf(look, span), rows: placesOf(look, "stacks") });
  const labels = useLabelColumns((row: Row) => row.heap?.labels ?? []);
  return (
    <Answer asked={asked} onTick={onTick} note={NOTE} about={() => <Chance />}>
      {(answer) => <Growing answer={answer} columns={columnsOf(answer.slices, labels)} />}
    </Answer>
  );
}

/** Whether what may be chance is listed too. */
function Chance() {
  const look = useLook();
  return (
    <label class="pick">
      <input
        type="checkbox"
        checked={look.chance === "1"}
        onChange={(event) => go({ chance: event.currentTarget.checked ? "1" : "" }, "replace")}
      />
      also what may be chance
    </label>
  );
}

function Growing({ answer, columns }: { answer: LeaksResponse; columns: Column<Row>[] }) {
  const look = useLook();
  const rows = look.chance ? answer.rows : answer.rows.filter((row) => row.confidence >= CONFIDENCE_LEAST);
  if (rows.length === 0) return <Note>{nothing(answer)}</Note>;
  return <Rows label="Leaks" columns={columns} rows={rows} text={(row) => placeText(row.heap)} />;
}

/** Why there is no row. */
function nothing({ slices, slicesLeast, places, rowsTotal }: LeaksResponse): string {
  if (slices < slicesLeast)
    return `Nothing can be said yet: ${slices} spans of time have data, growth needs ${slicesLeast}. Wait, or choose a longer time.`;
  if (rowsTotal === 0) return `Nothing grows: ${count(places)} places allocate.`;
  return `Nothing surely grows: ${count(places)} places allocate, ${count(rowsTotal)} of them grew by what may be chance.`;
}

function columnsOf(slices: number, labels: Column<Row>[]): Column<Row>[] {
  return [
    { name: "place", title: "Allocated by", look: "name", key: (row) => row.heap?.function ?? "", cell: (row) => <Place row={row.heap} /> },
    ...labels,
    {
      name: "growth",
      title: "Growth an hour",
      note: "with its 95 % interval",
      look: "number",
      key: (row) => row.bytesPerHour,
      cell: (row) => <Growth row={row} />,
    },
    { name: "sure", title: "Sure", look: "number", key: (row) => row.confidence, cell: (row) => sure(row.confidence) },
    {
      name: "grew",
      title: "Grew in",
      look: "number",
      key: (row) => row.growingSlices,
      cell: (row) => `${row.growingSlices} of ${slices}`,
    },
    { name: "age", title: "Age", look: "number", key: (row) => row.ageNs, cell: (row) => age(row.ageNs) },
    { name: "live", title: "Live", look: "number", key: (row) => row.heap?.liveBytes ?? 0, cell: (row) => growth(row.heap?.liveBytes ?? 0) },
    {
      name: "objects",
      title: "Live objects",
      look: "number",
      key: (row) => row.heap?.liveObjects ?? 0,
      cell: (row) => count(row.heap?.liveObjects ?? 0),
    },
  ];
}

function Growth({ row: { bytesPerHour, bytesPerHourLow, bytesPerHourHigh } }: { row: Row }) {
  return (
    <>
      {growth(bytesPerHour)}
      <div class="muted">
        {growth(bytesPerHourLow)} … {growth(bytesPerHourHigh)}
      </div>
    </>
  );
}

/** A share that is never said to be all unless it is. */
function sure(confidence: number): string {
  return confidence < 1 && confidence >= 0.999 ? "> 99.9 %" : percent(Math.floor(confidence * 1000) / 1000);
}
