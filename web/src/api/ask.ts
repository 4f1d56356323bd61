// Questions of components: asked again when they change, the last answer kept meanwhile.

import { useEffect, useRef, useState } from "preact/hooks";
import type { State } from "../state";
import { CODE, CallError, call } from "./grpc";
import type { Method } from "./codec";
import type { Selection } from "./generated";

const NS = 1e9;
/** Answers that are kept for going back to. */
const KEPT_MAX = 24;
/** Seconds between two questions while something is followed. */
export const LIVE_SECONDS = 10;

export interface Asked<A> {
  answer: A | undefined;
  error: CallError | undefined;
  isLoading: boolean;
}

const kept = new Map<string, unknown>();

function keep(key: string, answer: unknown): void {
  kept.delete(key);
  kept.set(key, answer);
  if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value!);
}

/** Forgets all answers: someone signed in, or wants new ones. */
export function forget(): void {
  kept.clear();
}

/** Asks; `undefined` asks nothing. Questions are told apart by what they say. */
export function useAsk<Q extends object, A>(method: Method<Q, A>, question: Partial<Q> | undefined): Asked<A> {
  const key = question ? method.path + JSON.stringify(question) : "";
  const known = kept.get(key) as A | undefined;
  const [asked, setAsked] = useState<Asked<A>>({ answer: known, error: undefined, isLoading: !known });
  const latest = useRef("");
  useEffect(() => {
    latest.current = key;
    if (!question) return;
    const kind = kept.get(key) as A | undefined;
    if (kind) return setAsked({ answer: kind, error: undefined, isLoading: false });
    const stop = new AbortController();
    setAsked((before) => ({ ...before, error: undefined, isLoading: true }));
    call(method, question, stop.signal).then(
      (answer) => {
        keep(key, answer);
        if (latest.current === key) setAsked({ answer, error: undefined, isLoading: false });
      },
      (error: unknown) => {
        if (stop.signal.aborted || latest.current !== key) return;
        const told = error instanceof CallError ? error : new CallError(CODE.unknown, String(error));
        setAsked({ answer: undefined, error: told, isLoading: false });
      },
    );
    return () => stop.abort();
  }, [key]);
  return asked;
}

/** A span of time in seconds since the epoch. */
export interface Span {
  from: number;
  to: number;
}

/** The span that a state looks at, seen from a moment. */
export function spanOf(look: State, now: number): Span {
  if (look.from && look.to) return { from: Number(look.from), to: Number(look.to) };
  return { from: now - Number(look.last), to: now };
}

/** A span as messages have it. */
export function spanNs({ from, to }: Span): { startNs: number; endNs: number } {
  return { startNs: Math.floor(from) * NS, endNs: Math.ceil(to) * NS };
}

/** The selection of a state. */
export function selectionOf(look: State, span: Span): Selection {
  return { signal: look.signal, kind: look.kind, selector: look.q, ...spanNs(span) };
}

/**
 * Now in whole seconds; a new one with each `tick`, every few seconds while `isLive`, and when another
 * time is chosen: "the last five minutes" are those before the choice.
 */
export function useNow(isLive: boolean, chosen: string): [number, () => void] {
  const read = () => Math.ceil(Date.now() / 1000);
  const [now, setNow] = useState(read);
  useEffect(() => setNow((before) => (read() - before > LIVE_SECONDS ? read() : before)), [chosen]);
  useEffect(() => {
    if (!isLive) return;
    const timer = setInterval(() => setNow(read()), LIVE_SECONDS * 1000);
    return () => clearInterval(timer);
  }, [isLive]);
  const tick = () => {
    forget();
    // A second question within a second is another one too.
    setNow((before) => Math.max(read(), before + 1));
  };
  return [now, tick];
}
