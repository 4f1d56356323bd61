// Selectors in PromQL's style: text to conditions, and back.

export type Op = "=" | "!=" | "=~" | "!~";

export interface Condition {
  name: string;
  op: Op;
  value: string;
}

const CONDITION = /^\s*([A-Za-z_]\w*|"(?:[^"\\]|\\.)*")\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(,|\}|$)/;

/** Conditions of a selector; `undefined` when it is written in a way that only the service reads. */
export function parseSelector(text: string): Condition[] | undefined {
  let rest = text.trim();
  if (rest === "" || rest === "{}") return [];
  if (!rest.startsWith("{")) return undefined;
  rest = rest.slice(1);
  const conditions: Condition[] = [];
  for (;;) {
    const found = CONDITION.exec(rest);
    if (!found) return undefined;
    conditions.push({ name: found[1]!, op: found[2] as Op, value: unescape(found[3]!) });
    rest = rest.slice(found[0].length);
    if (found[4] === "}") return rest.trim() === "" ? conditions : undefined;
    if (found[4] !== ",") return undefined;
  }
}

/** The selector of some conditions. */
export function writeSelector(conditions: Condition[]): string {
  if (conditions.length === 0) return "";
  const parts = conditions.map(({ name, op, value }) => `${name}${op}"${escape(value)}"`);
  return `{${parts.join(", ")}}`;
}

/** A selector with one condition more. */
export function withCondition(text: string, condition: Condition): string {
  const conditions = parseSelector(text) ?? [];
  const others = conditions.filter((each) => !(each.name === condition.name && each.op === condition.op));
  return writeSelector([...others, condition]);
}

function escape(text: string): string {
  return text.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n").replace(/\t/g, "\\t");
}

function unescape(text: string): string {
  return text.replace(/\\(.)/g, (_, letter) => ({ n: "\n", t: "\t" })[letter as string] ?? letter);
}

/** A condition as someone types it: `comm=nginx`, `host!=a`, `service=~"a|b"`. */
export function parseTyped(text: string): Condition | undefined {
  const found = /^\s*([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*(.*?)\s*$/.exec(text);
  if (!found) return undefined;
  const value = found[3]!.replace(/^"(.*)"$/, "$1");
  return { name: found[1]!, op: found[2] as Op, value };
}
