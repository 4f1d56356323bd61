// Filters on labels: chips, and a field that completes names and values.

import { useState } from "preact/hooks";
import { type Span, spanNs, useAsk } from "../api/ask";
import { QueryService } from "../api/generated";
import { type Condition, parseSelector, parseTyped, withCondition, writeSelector } from "../model/selector";
import { go, useLook } from "../state";

/** Suggestions that are shown at once. */
const SHOWN_MAX = 12;
const VALUES_MAX = 200;

export function FilterBar({ span }: { span: Span }) {
  const look = useLook();
  const conditions = parseSelector(look.q);
  const [typed, setTyped] = useState("");
  const [isOpen, setOpen] = useState(false);
  const [marked, setMarked] = useState(-1);
  const begun = parseTyped(typed);
  const selection = { signal: look.signal, kind: "", selector: look.q, ...spanNs(span) };
  const names = useAsk(QueryService.labels, isOpen && !begun ? { selection } : undefined).answer?.names ?? [];
  const values =
    useAsk(QueryService.labelValues, isOpen && begun ? { selection, name: begun.name, limit: VALUES_MAX } : undefined).answer
      ?.values ?? [];
  const offered = begun ? values.filter(holds(begun.value)) : names.filter(holds(typed));
  const shown = offered.slice(0, SHOWN_MAX);

  const add = (condition: Condition) => {
    go({ q: withCondition(look.q, condition) });
    setTyped("");
    setMarked(-1);
  };
  const take = (offer: string) => {
    if (begun) add({ ...begun, value: offer });
    else {
      setTyped(`${offer}=`);
      setMarked(-1);
    }
  };
  const remove = (at: number) => go({ q: writeSelector(conditions!.filter((_, i) => i !== at)) });
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setMarked(Math.min(shown.length - 1, marked + 1));
    else if (event.key === "ArrowUp") setMarked(Math.max(-1, marked - 1));
    else if (event.key === "Escape") setOpen(false);
    else if (event.key === "Enter" || (event.key === "Tab" && marked >= 0)) {
      if (typed.trim().startsWith("{")) {
        go({ q: typed.trim() });
        setTyped("");
      } else if (marked >= 0) take(shown[marked]!);
      else if (begun?.value) add(begun);
      else if (shown.length === 1) take(shown[0]!);
    } else if (event.key === "Backspace" && typed === "" && conditions?.length) remove(conditions.length - 1);
    else return;
    if (event.key !== "Backspace") event.preventDefault();
  };

  return (
    <div class="filter">
      {conditions?.map((condition, i) => (
        <span class="chip">
          <b>{condition.name}</b>
          <span class="op">{condition.op}</span>
          {condition.value || "∅"}
          <button aria-label={`Remove the filter on ${condition.name}`} onClick={() => remove(i)}>
            ×
          </button>
        </span>
      ))}
      {!conditions && (
        <span class="chip">
          {look.q}
          <button aria-label="Remove the selector" onClick={() => go({ q: "" })}>
            ×
          </button>
        </span>
      )}
      <span class="combo">
        <input
          role="combobox"
          aria-label="Filter by label"
          aria-expanded={isOpen && shown.length > 0}
          aria-controls="filter-offers"
          aria-autocomplete="list"
          aria-activedescendant={marked >= 0 ? `offer-${marked}` : undefined}
          placeholder={conditions?.length ? "and …" : "Filter: comm=nginx, host=~web.*"}
          value={typed}
          spellcheck={false}
          autocomplete="off"
          onInput={(event) => {
            setTyped(event.currentTarget.value);
            setMarked(-1);
            setOpen(true);
          }}
          onFocus={() => setOpen(true)}
          onBlur={() => setTimeout(() => setOpen(false), 150)}
          onKeyDown={onKeyDown}
        />
        <ul id="filter-offers" role="listbox" aria-label="Suggestions" class="card pop" hidden={!isOpen || shown.length === 0}>
          {shown.map((offer, i) => (
            <li
              id={`offer-${i}`}
              role="option"
              aria-selected={i === marked}
              onPointerDown={(event) => {
                event.preventDefault();
                take(offer);
              }}
            >
              {offer || "∅"}
            </li>
          ))}
          {offered.length > SHOWN_MAX && (
            <li class="more" role="option" aria-disabled="true" aria-selected={false}>
              {offered.length - SHOWN_MAX} more; type on
            </li>
          )}
        </ul>
      </span>
    </div>
  );
}

function holds(part: string): (text: string) => boolean {
  const wanted = part.trim().toLowerCase();
  return (text) => text.toLowerCase().includes(wanted);
}
