// A service of its own for the tests, on a temporary folder, filled with a recording of a real host.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const program = process.env.PROFILER ?? join(here, "../../target/debug/profiler");
const recording = readFileSync(join(here, "../../tests/captures/build.pb.gz"));

/** Seconds that each upload covers. */
const WINDOW_SECONDS = 30;
/** Uploads of the recording: twenty minutes of them. */
const WINDOWS = 40;
const START_WAIT_MS = 20_000;

/** Starts the service, with a token that allows to read if there is one; its address, and how to end it. */
export async function start(token) {
  const folder = mkdtempSync(join(tmpdir(), "profiler-web-"));
  const args = ["serve", "--data", join(folder, "data"), "--listen", "127.0.0.1:0"];
  if (token) {
    const config = join(folder, "service.toml");
    const sha256 = createHash("sha256").update(token).digest("hex");
    writeFileSync(config, `[[access.tokens]]\nrole = "read"\nsha256 = "${sha256}"\n`);
    args.push("--config", config);
  }
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const url = await address(child);
  const stop = async () => {
    child.kill("SIGTERM");
    await new Promise((done) => child.once("exit", done));
    rmSync(folder, { recursive: true, force: true });
  };
  return { url, stop };
}

/** The address that the service says it listens on. */
function address(child) {
  return new Promise((found, failed) => {
    let said = "";
    const timer = setTimeout(() => failed(new Error(`the service did not start: ${said}`)), START_WAIT_MS);
    const hear = (part) => {
      said += part;
      const url = /https?:\/\/[0-9.]+:\d+/.exec(said);
      if (!url) return;
      clearTimeout(timer);
      found(url[0]);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("exit", (code) => failed(new Error(`the service ended with ${code}: ${said}`)));
  });
}

async function upload(url, name, from, until, body) {
  const query = new URLSearchParams({ name, from: String(from), until: String(until) });
  for (;;) {
    const answer = await fetch(`${url}/ingest?${query}`, { method: "POST", body });
    if (answer.ok) return;
    // The service takes so many bytes a second of one client, and says so.
    if (answer.status !== 429 && answer.status !== 503) throw new Error(`upload: ${answer.status} ${await answer.text()}`);
    await new Promise((done) => setTimeout(done, 1000));
  }
}

/** Fills the service: a real recording again and again, and waits of another signal. */
export async function fill(url) {
  const end = Math.floor(Date.now() / 1000 / WINDOW_SECONDS) * WINDOW_SECONDS;
  for (let i = 0; i < WINDOWS; i++) {
    const from = end - (i + 1) * WINDOW_SECONDS;
    const region = i % 3 === 0 ? "eu" : "us";
    await upload(url, `build.cpu{host=web-${(i % 3) + 1},region=${region}}`, from, from + WINDOW_SECONDS, recording);
  }
  const locks = "api;main;serve;lock_wait 900\napi;main;serve;read 100\n";
  await upload(url, "api.mutex_count{host=web-1}", end - WINDOW_SECONDS, end, locks);
}

/** Stacks with at least a hundred thousand distinct frames, as wide and deep as large programs are. */
function forest() {
  const lines = [];
  for (let a = 0; a < 40; a++)
    for (let b = 0; b < 40; b++)
      for (let c = 0; c < 20; c++)
        for (let d = 0; d < 3; d++) {
          const weight = 1 + ((a * 7 + b * 13 + c * 29 + d * 31) % 97);
          lines.push(`main;serve;module_${a};handle_${b};step_${c};encode_${d} ${weight}`);
        }
  return lines.join("\n");
}

/** Adds a program with a hundred thousand frames. */
export async function grow(url) {
  const end = Math.floor(Date.now() / 1000 / WINDOW_SECONDS) * WINDOW_SECONDS;
  await upload(url, "forest.cpu{host=web-9}", end - WINDOW_SECONDS, end, forest());
}
