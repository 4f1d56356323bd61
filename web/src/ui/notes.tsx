// What stands where no data does, and how good data is.

import type { ComponentChildren } from "preact";
import type { CallError } from "../api/grpc";
import { CODE, signIn } from "../api/grpc";
import type { Quality } from "../api/generated";
import { count, percent } from "../model/units";

/** A question that has no answer yet, has failed, or has an empty one. */
export function Note({ children, tone }: { children: ComponentChildren; tone?: "bad" }) {
  return (
    <p class={`note ${tone ?? ""}`} role={tone ? "alert" : "status"}>
      {children}
    </p>
  );
}

/** Says why a question failed; asks for a token where that is why. */
export function Failure({ error, onRetry }: { error: CallError; onRetry: () => void }) {
  if (error.code === CODE.unauthenticated) return <SignIn onDone={onRetry} />;
  if (error.code === CODE.unimplemented) return <Note>This service does not answer this: {error.message}.</Note>;
  return (
    <Note tone="bad">
      {error.message} <button onClick={onRetry}>Try again</button>
    </Note>
  );
}

function SignIn({ onDone }: { onDone: () => void }) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const field = (event.currentTarget as HTMLFormElement).elements.namedItem("token") as HTMLInputElement;
    signIn(field.value.trim());
    onDone();
  };
  return (
    <form class="sign-in" onSubmit={submit}>
      <label>
        This service asks for a token with the role <code>read</code>
        <input name="token" type="password" autocomplete="off" required />
      </label>
      <button class="primary">Sign in</button>
    </form>
  );
}

/** Names of what takes away from the quality of data. */
function faults(quality: Quality): string[] {
  const sum = (counts: Quality["lost"]) => counts.reduce((all, { count }) => all + count, 0);
  const taken = quality.samples + quality.idle + sum(quality.lost);
  const named = (counts: Quality["lost"]) => counts.map((each) => `${each.cause} ${count(each.count)}`).join(", ");
  const faults: string[] = [];
  if (quality.lost.length) faults.push(`${percent(sum(quality.lost) / (taken || 1))} of the samples lost (${named(quality.lost)})`);
  if (quality.truncated.length)
    faults.push(`${percent(sum(quality.truncated) / (quality.samples || 1))} of the stacks cut short (${named(quality.truncated)})`);
  if (quality.framesUnnamed) faults.push(`${count(quality.framesUnnamed)} of ${count(quality.frames)} frames without a name`);
  if (quality.windowsLost) faults.push(`${count(quality.windowsLost)} windows never arrived`);
  return faults;
}

/** The share of stacks that are whole; more on opening it. */
export function QualityBadge({ quality }: { quality: Quality | undefined }) {
  // An upload does not say which of its stacks are whole.
  if (!quality?.samples || (quality.complete === 0 && quality.truncated.length === 0)) return null;
  const share = quality.complete / quality.samples;
  const tone = share >= 0.99 ? "good" : share >= 0.9 ? "fair" : "bad";
  return (
    <details class="quality">
      <summary>
        <span class={`dot ${tone}`} aria-hidden="true" />
        {percent(share)} whole stacks
      </summary>
      <ul class="card pop">
        <li>{count(quality.samples)} samples</li>
        {quality.rateAskedHz > 0 && (
          <li>
            {quality.rateEffectiveHz.toFixed(1)} of {quality.rateAskedHz.toFixed(0)} Hz on each CPU, sampling{" "}
            {percent(quality.dutyCycle)} of the time
          </li>
        )}
        {faults(quality).map((fault) => (
          <li>{fault}</li>
        ))}
        {faults(quality).length === 0 && <li>nothing lost, nothing cut, every frame named</li>}
      </ul>
    </details>
  );
}
