// Functions that changed more than chance explains.

import type { Change, RegressionsResponse } from "../api/generated";
import { count, percent, points } from "../model/units";
import { linkTo } from "../state";

/** Slower and faster ones, largest difference first. */
export function changesOf(answer: RegressionsResponse): Change[] {
  return [...answer.slower, ...answer.faster].sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference));
}

/** How small a change would have been seen. */
export function detectable({ detectablePoints }: RegressionsResponse): string {
  if (detectablePoints <= 0) return "";
  return `A change of ${percent(detectablePoints)} of a function with a share of 5 % would be found nine times in ten.`;
}

/** How many changed, of how many. */
export function summary(answer: RegressionsResponse): string {
  const changed = answer.slower.length + answer.faster.length;
  return `${count(changed)} of ${count(answer.tested)} functions changed more than chance explains. ${detectable(answer)}`;
}

export function ChangeRows({ changes, label }: { changes: Change[]; label: string }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            <th scope="col" class="number">Change</th>
            <th scope="col" class="number interval">95 % interval</th>
            <th scope="col" class="number">Before</th>
            <th scope="col" class="number">After</th>
            <th scope="col">Function, by itself</th>
          </tr>
        </thead>
        <tbody>
          {changes.map((change) => (
            <Row change={change} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ change }: { change: Change }) {
  const { place } = change;
  const name = place?.function ?? "";
  return (
    <tr title={`probability by chance, of all that were tested: ${change.qValue.toPrecision(2)}`}>
      <td class={`number ${change.difference > 0 ? "more" : "less"}`}>{points(change.difference)}</td>
      <td class="number muted interval">
        {points(change.differenceLow)} … {points(change.differenceHigh)}
      </td>
      <td class="number">{percent(change.beforeShare)}</td>
      <td class="number">{percent(change.afterShare)}</td>
      <td class="name">
        <a href={linkTo({ view: "function", fn: name })}>{name}</a>
        {place?.file && place.line > 0 && (
          <span class="muted" title={`${place.file}:${place.line}`}>
            {" "}
            {place.file.split("/").pop()}:{place.line}
          </span>
        )}
      </td>
    </tr>
  );
}
