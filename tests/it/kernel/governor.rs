//! The overhead governor: what costs too much is thinned, and the values are right all the same.

use std::{fs, process::Command, thread, time::Duration};

use profiler::{
    config::{MaxMemory, MaxOverhead},
    host::{
        Shutdown,
        run::{
            Budget, SharedLabelRules, SignalOptions, Unwinding, WatchOptions, WatchedWindow, watch,
        },
    },
    model::Profile,
};
use profiler_tests::{
    harness::{Record, Recording, Running, say, workload},
    require_root,
};

/// What may be taken of the host's CPU.
const BUDGET: f64 = 0.01;
/// Largest relative error of an estimate while it is thinned.
const ERROR_MAX: f64 = 0.10;
/// Seconds of a recording.
const SECONDS: u32 = 12;

/// Records time off the CPU and system calls of two processes that do nothing but wake each other.
fn record(max_overhead: &str) -> (Recording, f64) {
    let mut record = Record::program(workload("pingpong").unwrap());
    for option in ["-e", "offcpu,syscall", "--max-overhead", max_overhead] {
        record = record.option(option);
    }
    let record = record.option("-o").option("all.json");
    let mut recording = record.argument(SECONDS.to_string()).start_bare().unwrap();
    let ended = recording.ended().unwrap();
    assert_eq!(Some(0), ended.code(), "{}", ended.stderr);
    let round_ns: f64 = ended.stdout.trim().parse().unwrap();
    let rounds = f64::from(SECONDS) * 1e9 / round_ns;
    assert!(ended.stderr.contains("overhead "), "{}", ended.stderr);
    say(&ended.stderr);
    (recording, rounds)
}

/// Sum of one value of the two processes.
#[expect(clippy::cast_precision_loss, reason = "millions")]
fn sum(profile: &Profile, value: usize) -> f64 {
    let own = profile.samples.iter().filter(|sample| {
        let task = profile.task(sample.task);
        task.is_some_and(|task| task.comm == "pingpong")
    });
    own.map(|sample| sample.values[value]).sum::<u64>() as f64
}

/// That an estimate is the truth, nearly.
#[track_caller]
fn check_close(what: &str, truth: f64, estimate: f64) {
    let error = (estimate - truth) / truth;
    say(&format!("{what}: {estimate:.0} of {truth:.0}, {error:+.3}"));
    assert!(error.abs() <= ERROR_MAX, "{what}: {estimate} of {truth}");
}

/// Two waits and four system calls a round, and too many rounds to look at each of them.
#[test]
fn a_load_above_the_budget_is_held_under_it_and_totals_stay_right() {
    let _turn = require_root!();
    let (recording, rounds) = record("1%");
    let off_cpu = recording.profile("all.offcpu.json").unwrap();
    let calls = recording.profile("all.syscall.json").unwrap();
    let (overhead, duty) = (off_cpu.quality.overhead, calls.quality.duty_cycle);
    assert!(0.0 < overhead && overhead < 1.2 * BUDGET, "{overhead}");
    assert!(duty < 0.9, "{duty} of the time");
    assert_eq!(0, off_cpu.quality.lost_total() + calls.quality.lost_total());
    check_close("waits", 2.0 * rounds, sum(&off_cpu, 1));
    check_close("system calls", 4.0 * rounds, sum(&calls, 1));
}

/// The same without a budget costs more, and everything is looked at.
#[test]
fn without_a_budget_nothing_is_thinned() {
    let _turn = require_root!();
    let (recording, rounds) = record("off");
    let off_cpu = recording.profile("all.offcpu.json").unwrap();
    let calls = recording.profile("all.syscall.json").unwrap();
    for profile in [&off_cpu, &calls] {
        #[expect(clippy::float_cmp, reason = "exactly all of the time")]
        let is_whole = profile.quality.duty_cycle == 1.0;
        assert!(is_whole, "{}", profile.quality.duty_cycle);
    }
    let overhead = off_cpu.quality.overhead;
    assert!(BUDGET < overhead, "{overhead}: the load is too light");
    check_close("waits", 2.0 * rounds, sum(&off_cpu, 1));
    check_close("system calls", 4.0 * rounds, sum(&calls, 1));
}

/// CPU seconds of a process.
#[expect(clippy::cast_precision_loss, reason = "seconds, in ticks")]
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_name, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2);
    // A tick is 10 ms.
    ticks
        .map(|field| field.parse::<u64>().unwrap())
        .sum::<u64>() as f64
        / 100.0
}

/// CPU samples are taken less often than asked for, and stand for more: their sum stays the time that
/// the program had a CPU.
#[test]
fn a_lower_rate_changes_no_sum() {
    const WINDOWS: usize = 6;
    const ASKED_HZ: u32 = 4_999;
    let _turn = require_root!();
    let mut split = Command::new(workload("split").unwrap());
    let running = Running::start(split.arg("120")).unwrap();
    let pid = running.pid();
    let options = WatchOptions {
        host: "here".to_owned(),
        unwinding: Unwinding::Auto,
        rate_hz: ASKED_HZ,
        signals: SignalOptions::default(),
        window: Duration::from_secs(2),
        cache_dir: None,
        inlines: false,
        bursts: None,
        budget: Budget {
            overhead: MaxOverhead(Some(0.005)),
            memory: MaxMemory(None),
            governs_cpu: true,
            counts_always: false,
        },
    };
    let watching = thread::spawn(move || {
        let shutdown = Shutdown::default();
        let stop = shutdown.clone();
        let mut windows: Vec<(WatchedWindow, f64)> = Vec::new();
        let deliver = &mut |window: WatchedWindow| {
            windows.push((window, cpu_seconds(pid)));
            if windows.len() > WINDOWS {
                stop.request();
            }
        };
        watch(&options, &SharedLabelRules::default(), &shutdown, deliver).unwrap();
        windows
    });
    let windows = watching.join().unwrap();
    let truth = windows[WINDOWS].1 - windows[0].1;
    let counted = &windows[1..=WINDOWS];
    let sum_ns: u64 = (counted.iter())
        .flat_map(|(window, _)| {
            let profile = &window.profile;
            profile.samples.iter().filter(|sample| {
                profile
                    .task(sample.task)
                    .is_some_and(|task| task.pid.0 == pid)
            })
        })
        .map(|sample| sample.values[1])
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "seconds, in nanoseconds")]
    check_close("CPU seconds", truth, sum_ns as f64 / 1e9);
    let last = &counted[WINDOWS - 1].0.profile.quality;
    say(&format!("{last:?}"));
    assert!(
        last.rate_effective_hz < f64::from(ASKED_HZ) / 2.0,
        "{last:?}"
    );
}
