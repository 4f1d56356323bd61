// Memory that was allocated, and what of it is not freed.

import { useAsk } from "../../api/ask";
import { type HeapRow as Row, QueryService } from "../../api/generated";
import type { ViewProps } from "../../app";
import { bytes, count, rate } from "../../model/units";
import { useLook } from "../../state";
import { type Column, Rows } from "../../ui/rows";
import { Answer, age, growth, Place, placesOf, placeText, questionOf, useLabelColumns } from "./parts";

const NOTE =
  "Live is what was allocated less what was freed in this time: all that lives, where the time has the whole recording. " +
  "The age is since when memory was seen to be allocated here, within this time.";

export function HeapTable({ span, onTick }: ViewProps) {
  const look = useLook();
  const asked = useAsk(QueryService.heap, { ...questionOf(look, span), rows: placesOf(look, "functions") });
  const columns = columnsOf(useLabelColumns((row: Row) => row.labels));
  return (
    <Answer asked={asked} onTick={onTick} note={NOTE} about={() => <b>Memory by who allocated it</b>}>
      {({ rows }) => <Rows label="Heap" columns={columns} rows={rows} text={placeText} />}
    </Answer>
  );
}

function columnsOf(labels: Column<Row>[]): Column<Row>[] {
  return [
    { name: "place", title: "Allocated by", look: "name", key: (row) => row.function, cell: (row) => <Place row={row} /> },
    ...labels,
    { name: "live", title: "Live", look: "number", key: (row) => row.liveBytes, cell: (row) => growth(row.liveBytes) },
    { name: "objects", title: "Live objects", look: "number", key: (row) => row.liveObjects, cell: (row) => count(row.liveObjects) },
    { name: "allocated", title: "Allocated", look: "number", key: (row) => row.allocatedBytes, cell: (row) => bytes(row.allocatedBytes) },
    {
      name: "count",
      title: "Allocations",
      look: "number",
      key: (row) => row.allocatedObjects,
      cell: (row) => count(row.allocatedObjects),
    },
    { name: "bytes", title: "Bytes a second", look: "number", key: (row) => row.bytesPerSecond, cell: (row) => bytes(row.bytesPerSecond) },
    { name: "rate", title: "Allocations a second", look: "number", key: (row) => row.objectsPerSecond, cell: (row) => rate(row.objectsPerSecond) },
    { name: "age", title: "Age", look: "number", key: (row) => row.ageNs, cell: (row) => age(row.ageNs) },
  ];
}
