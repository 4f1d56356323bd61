// gRPC-Web: one question, and one answer or a stream of them.

import { decode, encode, type Method } from "./codec";

/** Why a question was not answered, in the words of the service. */
export class CallError extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

export const CODE = { cancelled: 1, unknown: 2, unimplemented: 12, unavailable: 14, unauthenticated: 16 };

/** Largest answer that is taken. */
const ANSWER_SIZE_BYTES_MAX = 256 << 20;
/** Bytes in front of each frame. */
const HEAD_SIZE_BYTES = 5;
const IS_TRAILER = 0x80;
const IS_PACKED = 0x01;
/** Where the token is kept: until the tab is closed. */
const TOKEN_KEY = "profiler.token";

let token = sessionStorage.getItem(TOKEN_KEY) ?? "";

/** Sends this token from now on. */
export function signIn(text: string): void {
  token = text;
  sessionStorage.setItem(TOKEN_KEY, text);
}

function head(): Record<string, string> {
  const always = {
    "content-type": "application/grpc-web+proto",
    accept: "application/grpc-web+proto",
    "x-grpc-web": "1",
    "grpc-accept-encoding": "gzip,identity",
    "grpc-timeout": "60S",
  };
  return token ? { ...always, authorization: `Bearer ${token}` } : always;
}

/** A message in its frame. */
function framed(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HEAD_SIZE_BYTES + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, HEAD_SIZE_BYTES);
  return frame;
}

async function unpacked(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Throws unless trailers or headers say that all is well. */
function check(get: (name: string) => string | null): void {
  const status = get("grpc-status");
  if (status === null || status === "0") return;
  throw new CallError(Number(status), decodeURIComponent(get("grpc-message") ?? "the service said no"));
}

function trailer(bytes: Uint8Array): (name: string) => string | null {
  const lines = new TextDecoder().decode(bytes).split("\r\n");
  const pairs = lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  const known = new Map(pairs);
  return (name) => known.get(name) ?? null;
}

async function post(path: string, body: Uint8Array, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { method: "POST", headers: head(), body: framed(body) as BodyInit, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new CallError(CODE.unavailable, "The service cannot be reached.");
  }
  check((name) => response.headers.get(name));
  if (response.status === 401 || response.status === 403) throw new CallError(CODE.unauthenticated, "A token is needed.");
  if (!response.ok || !response.body) throw new CallError(CODE.unknown, `HTTP status ${response.status}`);
  return response;
}

/** Frames as they arrive. */
async function* frames(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body!.getReader();
  let parts: Uint8Array[] = [];
  let size = 0;
  let wanted = HEAD_SIZE_BYTES;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      size += value.length;
      while (size >= wanted) {
        const bytes = joined(parts, size);
        const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
        if (length > ANSWER_SIZE_BYTES_MAX) throw new CallError(CODE.unknown, "The answer is too large.");
        wanted = HEAD_SIZE_BYTES + length;
        parts = [bytes];
        if (size < wanted) break;
        const payload = bytes.subarray(HEAD_SIZE_BYTES, wanted);
        const flags = bytes[0]!;
        parts = [bytes.subarray(wanted)];
        size -= wanted;
        wanted = HEAD_SIZE_BYTES;
        if (flags & IS_TRAILER) check(trailer(payload));
        else yield flags & IS_PACKED ? await unpacked(payload) : payload;
      }
    }
  } finally {
    // The rest of a stream that nobody reads any more.
    reader.cancel().catch(() => undefined);
  }
}

function joined(parts: Uint8Array[], size: number): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Asks a question that has a stream of answers. */
export async function* stream<Q extends object, A>(
  method: Method<Q, A>,
  question: Partial<Q>,
  signal?: AbortSignal,
): AsyncGenerator<A> {
  const response = await post(method.path, encode(method.input(), question), signal);
  for await (const frame of frames(response)) yield decode(method.output(), frame);
}

/** Asks a question that has one answer. */
export async function call<Q extends object, A>(
  method: Method<Q, A>,
  question: Partial<Q>,
  signal?: AbortSignal,
): Promise<A> {
  let answer: A | undefined;
  for await (const each of stream(method, question, signal)) answer = each;
  if (answer === undefined) throw new CallError(CODE.unknown, "The service gave no answer.");
  return answer;
}
