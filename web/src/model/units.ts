// Numbers for people.

import type { ValueType } from "../api/generated";

const SI = ["", "k", "M", "G", "T", "P"];
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const TIMES: [number, string][] = [
  [86400e9, "d"],
  [3600e9, "h"],
  [60e9, "min"],
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "µs"],
  [1, "ns"],
];

/** Three digits that matter. */
function short(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2);
}

function scaled(value: number, step: number, names: string[], space: string): string {
  let rest = value;
  let index = 0;
  while (Math.abs(rest) >= step && index < names.length - 1) {
    rest /= step;
    index++;
  }
  return `${short(rest)}${space}${names[index]}`;
}

export function count(value: number): string {
  return Math.abs(value) < 10000 && Number.isInteger(value) ? value.toLocaleString("en") : scaled(value, 1000, SI, "");
}

export function bytes(value: number): string {
  return scaled(value, 1024, BINARY, " ");
}

/** A length of time in nanoseconds. */
export function duration(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0 s";
  const [unit, name] = TIMES.find(([unit]) => size >= unit) ?? [1, "ns"];
  return `${short(value / unit)} ${name}`;
}

/** A value with its unit. */
export function amount(value: number, type: ValueType | undefined): string {
  switch (type?.unit) {
    case "nanoseconds":
      return duration(value);
    case "bytes":
      return bytes(value);
    default:
      return count(value);
  }
}

/** A share of 0 to 1. */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return "–";
  const value = share * 100;
  const size = Math.abs(value);
  if (size === 0) return "0 %";
  if (size < 0.01) return "< 0.01 %";
  return `${value.toFixed(size >= 10 ? 1 : 2)} %`;
}

/** A difference of shares, with its sign. */
export function points(difference: number): string {
  const sign = difference > 0 ? "+" : difference < 0 ? "−" : "±";
  return `${sign}${percent(Math.abs(difference)).replace("< ", "")}`;
}

/** What is counted, for people. */
export function unitName(type: ValueType | undefined): string {
  if (!type) return "";
  return type.unit === "count" ? type.kind : `${type.kind}, ${type.unit}`;
}

const two = (value: number) => String(value).padStart(2, "0");

/** A moment in seconds since the epoch, in local time; with the day where the span is long. */
export function moment(seconds: number, spanSeconds: number): string {
  const date = new Date(seconds * 1000);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (spanSeconds > 2 * 86400) return `${day} ${time}`;
  return spanSeconds > 1200 ? time : `${time}:${two(date.getSeconds())}`;
}

/** How long ago a moment was, both in seconds. */
export function ago(seconds: number, now: number): string {
  const past = Math.max(0, now - seconds);
  return past < 2 ? "now" : `${duration(Math.round(past) * 1e9)} ago`;
}
