// The merged stacks of a selection.

import { useMemo } from "preact/hooks";
import { selectionOf, useAsk } from "../api/ask";
import { QueryService } from "../api/generated";
import type { ViewProps } from "../app";
import { Explorer } from "../flame/explorer";
import { treeOf } from "../model/tree";
import { nodesMax } from "../flame/limits";
import { amount, count } from "../model/units";
import { useLook } from "../state";
import { Failure, Note } from "../ui/notes";


export function FlameView({ span, onTick }: ViewProps) {
  const look = useLook();
  const selection = selectionOf(look, span);
  const { answer, error } = useAsk(QueryService.flameGraph, { selection, nodeLimit: nodesMax() });
  const tree = useMemo(() => answer && treeOf(answer), [answer]);
  if (error) return <Failure error={error} onRetry={onTick} />;
  if (!answer || !tree) return <Note>Reading stacks …</Note>;
  if (answer.total === 0) return <Note>Nothing was sampled in this span of time with these filters.</Note>;
  const label = `Flame graph of ${amount(answer.total, answer.valueType)} ${answer.valueType?.kind ?? ""}`;
  return (
    <Explorer tree={tree} selection={selection} quality={answer.quality} label={label}>
      <span class="muted total">
        <b>{amount(answer.total, answer.valueType)}</b> {answer.valueType?.kind} in {count(tree.size)} frames
        {answer.nodesTotal > tree.size && ` of ${count(answer.nodesTotal)}`}
      </span>
    </Explorer>
  );
}
