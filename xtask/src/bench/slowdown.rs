//! How much slower programs are that make one kind of event very often, while each is watched: under
//! the usual budget, without one, and by bpftrace.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};

use super::{
    load::Load,
    machine::cpus,
    measure::{self, quantile},
    product::Product,
    programs::build_c,
    table::Table,
    up::Up,
};
use crate::command::is_command;

/// How often each is measured, with a pause before and behind.
const TURNS: usize = 3;
/// Length of a pause, in which the program is left alone.
const ALONE: Duration = Duration::from_secs(4);
/// Until a governor has done its work.
const SETTLED: Duration = Duration::from_secs(8);
/// How long the program is looked at then.
const WATCHED: Duration = Duration::from_secs(6);
/// Most that the usual budget may cost.
const SLOWDOWN_MAX: f64 = 0.02;
/// The library whose allocations bpftrace is told to watch.
const LIBC: &str = "/lib/x86_64-linux-gnu/libc.so.6";

/// A program that makes one kind of event.
struct Kind {
    /// As `events` knows it.
    name: &'static str,
    /// What is made so often.
    events: &'static str,
    /// Events of a slice of its work.
    of_slice: f64,
    /// The signals that watch it.
    signals: &'static str,
    /// What bpftrace does for it.
    peer: String,
}

/// Every kind.
fn kinds() -> [Kind; 5] {
    let kind = |name, events, of_slice, signals, peer: &str| Kind {
        name,
        events,
        of_slice,
        signals,
        peer: peer.to_owned(),
    };
    [
        kind("cpu", "ms of work", 5.0, "cpu", PROFILE),
        kind("syscalls", "system calls", 5_000.0, "syscall", SYSCOUNT),
        kind("mallocs", "mallocs", 5_000.0, "alloc", &memleak()),
        kind("switches", "switches", 500.0, "offcpu", OFF_CPU_TIME),
        kind("connections", "connections", 100.0, "tcp", TCP_LIFE),
    ]
}

/// Stacks at 99 Hz.
const PROFILE: &str = "profile:hz:99 { @[comm, kstack, ustack] = count(); }";
/// Calls and their time, by process and call.
const SYSCOUNT: &str = "\
tracepoint:raw_syscalls:sys_enter { @began[tid] = nsecs; }
tracepoint:raw_syscalls:sys_exit /@began[tid]/ {
    @calls[comm, args->id] = count();
    @ns[comm, args->id] = sum(nsecs - @began[tid]);
    delete(@began[tid]);
}";
/// Time off the CPU by stack.
const OFF_CPU_TIME: &str = "\
tracepoint:sched:sched_switch {
    @began[args->prev_pid] = nsecs;
    @user[args->prev_pid] = ustack;
    @kernel[args->prev_pid] = kstack;
    $began = @began[args->next_pid];
    if ($began) {
        @ns[args->next_comm, @kernel[args->next_pid], @user[args->next_pid]] = sum(nsecs - $began);
        delete(@began[args->next_pid]);
    }
}";
/// How long connections last, by process.
const TCP_LIFE: &str = "\
tracepoint:sock:inet_sock_set_state {
    if (args->newstate == 1) { @began[args->skaddr] = nsecs; }
    if (args->newstate == 7 && @began[args->skaddr]) {
        @us[comm] = hist((nsecs - @began[args->skaddr]) / 1000);
        delete(@began[args->skaddr]);
    }
}";

/// What lives, and bytes by stack.
fn memleak() -> String {
    format!(
        "\
uprobe:{LIBC}:malloc {{ @size[tid] = arg0; }}
uretprobe:{LIBC}:malloc /@size[tid]/ {{
    @bytes[ustack] = sum(@size[tid]);
    @live[retval] = @size[tid];
    delete(@size[tid]);
}}
uprobe:{LIBC}:free {{ delete(@live[arg0]); }}"
    )
}

/// Who watches.
#[derive(Clone, Copy, Debug)]
enum Watcher {
    /// The product, as it comes.
    Budget,
    /// The product without its governor.
    Free,
    /// bpftrace.
    Peer,
}

/// One who watches, until dropped.
enum Watching {
    Product(#[expect(dead_code, reason = "ended when dropped")] Up),
    Peer(Child),
}

impl Watching {
    /// Has someone watch.
    fn start(product: &Product<'_>, kind: &Kind, watcher: Watcher) -> anyhow::Result<Self> {
        let up = |more: &[&str]| {
            let arguments = [&["-e", kind.signals], more].concat();
            Up::start(product, "slowdown", &arguments).map(Self::Product)
        };
        match watcher {
            Watcher::Budget => up(&[]),
            Watcher::Free => up(&["--max-overhead", "off"]),
            Watcher::Peer => {
                let child = Command::new("bpftrace")
                    .args(["-e", &kind.peer])
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn();
                Ok(Self::Peer(child.context("start bpftrace")?))
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Self::Peer(child) = self {
            // At once: what it would print takes long.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// When a program was left alone before it was watched, when it was watched, and when it was left alone
/// again: nanoseconds since the Unix epoch.
type Turn = [Range<u128>; 3];

/// Seconds that an event took: alone, and watched.
#[derive(Clone, Copy, Debug)]
struct Pace {
    alone_s: f64,
    watched_s: f64,
}

impl Pace {
    /// How much longer it took, as a share.
    fn slowdown(self) -> f64 {
        self.watched_s / self.alone_s - 1.0
    }
}

/// Measures every kind.
pub(crate) fn measure(product: &Product<'_>) -> anyhow::Result<Table> {
    let flags = ["-lpthread"];
    let program = build_c(&product.programs(), "events", &["events.c"], &flags)?;
    let heads = [
        "program",
        "events/s",
        "1 % budget",
        "no budget",
        "bpftrace",
        "ns an event: profiler, bpftrace",
        "promise",
    ];
    let mut table = Table::new("slowdown", "cargo xtask bench slowdown", &heads);
    for kind in kinds() {
        let budget = of_watcher(product, &program, &kind, Watcher::Budget)?;
        let free = of_watcher(product, &program, &kind, Watcher::Free)?;
        let peer = if is_command("bpftrace") {
            Some(of_watcher(product, &program, &kind, Watcher::Peer)?)
        } else {
            println!("without bpftrace, which is not installed");
            None
        };
        let cells = cells(&kind, budget, free, peer);
        println!("{}", cells.join("  "));
        table.row(cells);
    }
    table.note(format!(
        "How much longer the same work takes while it is watched: wall clock, mean of {} s after {} s for \
         the governor to settle, beside the {} s before and after in which nobody watches; median of \
         {TURNS} turns. The product is `profiler up -e SIGNAL`, its service and store included. What an \
         event costs is without a budget, in nanoseconds. bpftrace does the like of offcputime, syscount, \
         memleak and tcplife, with stacks by frame pointer.",
        WATCHED.as_secs(),
        SETTLED.as_secs(),
        ALONE.as_secs(),
    ));
    Ok(table)
}

/// A row.
fn cells(kind: &Kind, budget: Pace, free: Pace, peer: Option<Pace>) -> [String; 7] {
    let percent = |pace: Pace| format!("{:+.1} %", pace.slowdown() * 100.0);
    let event_ns = |pace: Pace| format!("{:.0}", (pace.watched_s - pace.alone_s) * 1e9);
    let is_kept = budget.slowdown() <= SLOWDOWN_MAX;
    let is_below = peer.is_none_or(|peer| free.slowdown() <= peer.slowdown());
    let verdict = |is: bool| if is { "kept" } else { "broken" };
    [
        format!("{} (`{}`)", kind.events, kind.signals),
        format!("{:.0}", 1.0 / budget.alone_s),
        percent(budget),
        percent(free),
        peer.map_or("–".to_owned(), percent),
        format!(
            "{}, {}",
            event_ns(free),
            peer.map_or("–".to_owned(), event_ns)
        ),
        format!("≤ 2 %: {}, below: {}", verdict(is_kept), verdict(is_below)),
    ]
}

/// Measures a kind under one watcher: the turn in the middle.
fn of_watcher(
    product: &Product<'_>,
    program: &Path,
    kind: &Kind,
    watcher: Watcher,
) -> anyhow::Result<Pace> {
    let mut load = Load::default();
    // What makes no events takes every CPU; the others leave room for who watches.
    let processes = if kind.name == "cpu" { cpus()? } else { 1 };
    let mut logs: Vec<PathBuf> = Vec::new();
    for number in 0..processes {
        let log = product.file(&format!("events.{number}.log"));
        load.start(program, &[kind.name.into(), log.clone().into()])?;
        logs.push(log);
    }
    let mut turns: Vec<Turn> = Vec::new();
    for _turn in 0..TURNS {
        let before = span(ALONE)?;
        let watching = Watching::start(product, kind, watcher)?;
        measure::pause(SETTLED);
        let watched = span(WATCHED)?;
        drop(watching);
        turns.push([before, watched, span(ALONE)?]);
    }
    drop(load);
    let mut ends = Vec::new();
    for log in &logs {
        let text = fs::read_to_string(log).with_context(|| format!("read {}", log.display()))?;
        ends.extend(text.lines().filter_map(|line| line.parse::<u128>().ok()));
    }
    let mut paces: Vec<Pace> = turns.iter().map(|turn| pace(&ends, turn, kind)).collect();
    ensure!(
        paces.iter().all(|pace| pace.slowdown().is_finite()),
        "{} did nothing",
        kind.name
    );
    let middle = quantile(&paces.iter().map(|p| p.slowdown()).collect::<Vec<_>>(), 0.5);
    paces.sort_by(|a, b| {
        let off = |pace: &Pace| (pace.slowdown() - middle).abs();
        off(a).total_cmp(&off(b))
    });
    paces.first().copied().context("nothing was measured")
}

/// Waits, and tells from when to when.
fn span(length: Duration) -> anyhow::Result<Range<u128>> {
    let start = measure::unix_time()?.as_nanos();
    measure::pause(length);
    Ok(start..measure::unix_time()?.as_nanos())
}

/// How long an event took in a turn.
fn pace(ends: &[u128], [before, watched, after]: &Turn, kind: &Kind) -> Pace {
    #[expect(clippy::cast_precision_loss, reason = "some thousand slices")]
    let events_per_s = |span: &Range<u128>| {
        let slices = ends.iter().filter(|end| span.contains(end)).count() as f64;
        slices * kind.of_slice / ((span.end - span.start) as f64 / 1e9)
    };
    Pace {
        alone_s: 1.0 / f64::midpoint(events_per_s(before), events_per_s(after)),
        watched_s: 1.0 / events_per_s(watched),
    }
}

#[cfg(test)]
mod tests {
    use super::{kinds, pace};

    #[test]
    fn twice_the_time_is_a_slowdown_of_all() {
        let [kind, ..] = kinds();
        // Ten slices in each span alone, five while it is watched.
        let ends: Vec<u128> = (0..10)
            .chain((10..20).step_by(2))
            .chain(20..30)
            .map(|tenth| tenth * 100_000_000)
            .collect();
        let turn = [
            0..1_000_000_000,
            1_000_000_000..2_000_000_000,
            2_000_000_000..3_000_000_000,
        ];
        let pace = pace(&ends, &turn, &kind);
        assert!((pace.slowdown() - 1.0).abs() < 1e-9, "{pace:?}");
        assert!((pace.alone_s * 10.0 * kind.of_slice - 1.0).abs() < 1e-9);
    }
}
