// Protobuf, by tables of fields: messages as plain objects, and back.
//
// Whole numbers of 64 bits become JavaScript's numbers. Whole seconds in nanoseconds stay exact up to
// the year 2262, because such numbers are multiples of 512; sums of values lose digits that no
// picture shows.

/** Number, name, type and whether it is repeated, of each field. */
export type Fields<T> = ReadonlyArray<Field<T>>;
type Field<T> = readonly [number, keyof T & string, Kind, boolean];
// A name of a scalar, or the table of another message, whose type is known where it is generated.
type Kind = string | (() => Fields<any>);

/** A call of a service. */
export interface Method<Q, A> {
  path: string;
  input: () => Fields<Q>;
  output: () => Fields<A>;
}

const VARINT = 0;
const BITS64 = 1;
const BYTES = 2;
const BITS32 = 5;

const TWO_32 = 2 ** 32;
const text = new TextDecoder();
const utf8 = new TextEncoder();

/** Reads bytes of a message. Bytes that are no message throw. */
class Reader {
  at = 0;
  private view: DataView;

  constructor(private bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  varint(): number {
    let low = 0;
    let byte = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      byte = this.byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return low;
    }
    let sum = low;
    for (let scale = 2 ** 28; scale < 2 ** 70; scale *= 128) {
      byte = this.byte();
      sum += (byte & 0x7f) * scale;
      if (byte < 0x80) return sum;
    }
    throw new Error("a number in the answer is too long");
  }

  signed(): number {
    const value = this.varint();
    return value >= 2 ** 63 ? value - 2 ** 64 : value;
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  double(): number {
    this.at += 8;
    return this.view.getFloat64(this.at - 8, true);
  }

  fixed64(): number {
    this.at += 8;
    return this.view.getUint32(this.at - 8, true) + this.view.getUint32(this.at - 4, true) * TWO_32;
  }

  slice(): Uint8Array {
    const end = this.varint() + this.at;
    if (end > this.bytes.length) throw new Error("the answer is cut short");
    const part = this.bytes.subarray(this.at, end);
    this.at = end;
    return part;
  }

  skip(wire: number): void {
    if (wire === VARINT) this.varint();
    else if (wire === BITS64) this.at += 8;
    else if (wire === BITS32) this.at += 4;
    else if (wire === BYTES) this.slice();
    else throw new Error(`the answer has a field of wire type ${wire}`);
  }

  private byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw new Error("the answer is cut short");
    return byte;
  }
}

function readScalar(reader: Reader, kind: string): unknown {
  switch (kind) {
    case "string":
      return text.decode(reader.slice());
    case "bytes":
      return reader.slice();
    case "bool":
      return reader.varint() !== 0;
    case "double":
      return reader.double();
    case "fixed64":
      return reader.fixed64();
    case "sint64":
      return reader.zigzag();
    case "int32":
    case "int64":
    case "enum":
      return reader.signed();
    default:
      return reader.varint();
  }
}

/** What a field is when it is not there. */
function nothing(kind: Kind, isRepeated: boolean): unknown {
  if (isRepeated) return [];
  if (typeof kind !== "string") return undefined;
  if (kind === "string") return "";
  if (kind === "bool") return false;
  return kind === "bytes" ? new Uint8Array() : 0;
}

type Plan = { empty: [string, Kind, boolean][]; byNumber: Field<Record<string, unknown>>[] };
const plans = new Map<unknown, Plan>();

/** A table made quick to look into. */
function plan(fields: Fields<never>): Plan {
  let known = plans.get(fields);
  if (!known) {
    known = { empty: [], byNumber: [] };
    for (const field of fields as unknown as Fields<Record<string, unknown>>) {
      known.empty.push([field[1], field[2], field[3]]);
      known.byNumber[field[0]] = field;
    }
    plans.set(fields, known);
  }
  return known;
}

/** A message from bytes; fields of later releases are skipped. */
export function decode<T>(fields: Fields<T>, bytes: Uint8Array): T {
  const { empty, byNumber } = plan(fields as Fields<never>);
  const message: Record<string, unknown> = {};
  for (const [name, kind, isRepeated] of empty) message[name] = nothing(kind, isRepeated);
  const reader = new Reader(bytes);
  while (!reader.isAtEnd()) {
    const tag = reader.varint();
    const field = byNumber[tag >>> 3];
    if (field) readField(reader, message, field, tag & 7);
    else reader.skip(tag & 7);
  }
  return message as T;
}

function readField(
  reader: Reader,
  message: Record<string, unknown>,
  [, name, kind, isRepeated]: Field<Record<string, unknown>>,
  wire: number,
): void {
  if (typeof kind !== "string") {
    const inner = decode(kind(), reader.slice());
    if (isRepeated) (message[name] as unknown[]).push(inner);
    else message[name] = inner;
  } else if (!isRepeated) {
    message[name] = readScalar(reader, kind);
  } else if (wire === BYTES && kind !== "string" && kind !== "bytes") {
    const packed = new Reader(reader.slice());
    while (!packed.isAtEnd()) (message[name] as unknown[]).push(readScalar(packed, kind));
  } else {
    (message[name] as unknown[]).push(readScalar(reader, kind));
  }
}

function writeVarint(out: number[], value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    out.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  out.push(rest);
}

function writeBytes(out: number[], bytes: ArrayLike<number>): void {
  writeVarint(out, bytes.length);
  for (let i = 0; i < bytes.length; i++) out.push(bytes[i]!);
}

function writeValue(out: number[], number: number, kind: Kind, value: unknown): void {
  const tag = (wire: number) => writeVarint(out, number * 8 + wire);
  if (typeof kind !== "string") {
    tag(BYTES);
    writeBytes(out, encode(kind(), value as object));
  } else if (kind === "string") {
    tag(BYTES);
    writeBytes(out, utf8.encode(value as string));
  } else if (kind === "double") {
    tag(BITS64);
    out.push(...new Uint8Array(new Float64Array([value as number]).buffer));
  } else if (kind === "bytes" || kind === "fixed64" || kind === "sint64") {
    throw new Error(`the page sends no ${kind}`);
  } else {
    tag(VARINT);
    writeVarint(out, Number(value));
  }
}

/** Bytes of a message. What is missing, zero or empty is left out. */
export function encode<T extends object>(fields: Fields<T>, message: Partial<T>): Uint8Array {
  const out: number[] = [];
  for (const [number, name, kind, isRepeated] of fields) {
    const value = message[name];
    if (isRepeated) for (const each of (value as unknown[]) ?? []) writeValue(out, number, kind, each);
    else if (value) writeValue(out, number, kind, value);
  }
  return Uint8Array.from(out);
}
