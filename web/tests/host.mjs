// This very host, watched by a real daemon, while programs run whose system calls, connections and
// memory are known. Started when the first test asks for it.

import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { program, run } from "./service.mjs";

const execute = promisify(execFile);
const workloads = join(dirname(fileURLToPath(import.meta.url)), "../../tests/workloads");

const SIGNALS = "cpu,offcpu,syscall,syscall_counts,tcp,tcp_counts,alloc,page_fault";
const WINDOW_SECONDS = 5;
/** Longest wait for a leak to be sure, on a host that is busy with something else. */
const WAIT_MS = 240_000;
const PAUSE_MS = 3_000;
/** The programs that the tests look at: names, sources. */
const PROGRAMS = [
  ["orders", "sick.c"],
  ["gateway", "talk.c"],
];
/** The selector of both. */
export const SELECTOR = '{comm=~"orders|gateway"}';

/** What runs while the host is watched: a leak, a lock, connections that are slow, refused and queued. */
const DAY = `
./orders 600 leak_suspect & ./orders 600 lock_convoy &
while :; do ./gateway queue; ./gateway refused; ./gateway slow; done
`;

async function build(folder) {
  for (const [name, source] of PROGRAMS) {
    const args = ["-O2", "-g", "-fomit-frame-pointer", "-o", join(folder, name), join(workloads, source), "-lpthread"];
    await execute("gcc", args);
  }
}

/** Asks the service on the command line. */
export async function query({ url }, ...args) {
  const { stdout } = await execute(program, ["query", ...args, "--json", "--server", url], { maxBuffer: 64 << 20 });
  return JSON.parse(stdout);
}

/** Whether each table has something to say about the programs, and the lock is found. */
async function isTold(service) {
  try {
    for (const [table, ...more] of [["leaks", "--all"], ["heap"], ["syscalls"], ["tcp"]])
      if ((await query(service, table, SELECTOR, ...more)).rows.length === 0) return false;
    const { findings } = await query(service, "bottlenecks", SELECTOR);
    return findings.some((finding) => finding.kind === "lock_convoy");
  } catch {
    // Nothing is recorded yet.
    return false;
  }
}

async function begin() {
  const folder = mkdtempSync(join(tmpdir(), "profiler-host-"));
  await build(folder);
  const from = Math.floor(Date.now() / 1000);
  const store = ["--data", join(folder, "data"), "--listen", "127.0.0.1:0"];
  // Programs that allocate and wait for each other without end cost more than a host should spend.
  const watch = ["--window", String(WINDOW_SECONDS), "-e", SIGNALS, "--max-overhead", "off"];
  const service = await run(folder, ["up", ...store, ...watch]);
  // A group of its own, so that all of it ends with it.
  const day = spawn("sh", ["-c", DAY], { cwd: folder, stdio: "ignore", detached: true });
  try {
    await toldBy(service);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  } finally {
    // The programs outlive the watching: their end gives all their memory back.
    await service.end();
    process.kill(-day.pid, "SIGKILL");
  }
  const to = Math.ceil(Date.now() / 1000);
  // What was seen stays as it is from now on, and watching does not slow the tests.
  const { url, stop } = await run(folder, ["serve", ...store]);
  return { url, span: { from, to }, stop };
}

async function toldBy(service) {
  const end = Date.now() + WAIT_MS;
  while (!(await isTold(service))) {
    if (Date.now() > end) throw new Error("this host's tables do not tell of the programs");
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
}

let started;

export const host = {
  /** Its address, and the span of time that is looked at. */
  get: () => (started ??= begin()),
  stop: async () => {
    if (started) await started.then(({ stop }) => stop(), () => undefined);
  },
};
