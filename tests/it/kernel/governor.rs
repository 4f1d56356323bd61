//! The overhead governor: what costs too much is thinned, and the values are right all the same.

use std::{process::Command, thread, time::Duration};

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
/// Largest relative error of an estimate of what is not in slices.
const ERROR_MAX: f64 = 0.10;
/// The same in slices: two dozen of them, of a load that a busy host changes by the second.
const SLICES_ERROR_MAX: f64 = 0.35;
/// Seconds of a recording.
const SECONDS: u32 = 20;
/// Two waits and four system calls each.
const ROUNDS_PER_SECOND: u32 = 50_000;

/// Records time off the CPU and system calls of two processes that wake each other. Their pace is
/// fixed: who is slowed down while it is looked at would do less then than at other times.
fn record(max_overhead: &str) -> (Recording, f64) {
    let mut record = Record::program(workload("pingpong").unwrap());
    for option in [
        "-e",
        "offcpu,syscall_counts",
        "--max-overhead",
        max_overhead,
    ] {
        record = record.option(option);
    }
    let record = record.option("-o").option("all.json");
    let record = record.argument(SECONDS.to_string());
    let record = record.argument(ROUNDS_PER_SECOND.to_string());
    let mut recording = record.start_bare().unwrap();
    let ended = recording.ended().unwrap();
    assert_eq!(Some(0), ended.code(), "{}", ended.stderr);
    let round_ns: f64 = ended.stdout.trim().parse().unwrap();
    let rounds = f64::from(SECONDS) * 1e9 / round_ns;
    assert!(ended.stderr.contains("overhead "), "{}", ended.stderr);
    say(&ended.stderr);
    (recording, rounds)
}

/// Sum of one value of the processes of a name.
#[expect(clippy::cast_precision_loss, reason = "millions")]
fn sum(profile: &Profile, comm: &str, value: usize) -> f64 {
    let own = profile.samples.iter().filter(|sample| {
        let task = profile.task(sample.task);
        task.is_some_and(|task| task.comm == comm)
    });
    own.map(|sample| sample.values[value]).sum::<u64>() as f64
}

/// That an estimate is the truth, nearly.
#[track_caller]
fn check_close(what: &str, error_max: f64, truth: f64, estimate: f64) {
    let error = (estimate - truth) / truth;
    say(&format!("{what}: {estimate:.0} of {truth:.0}, {error:+.3}"));
    assert!(error.abs() <= error_max, "{what}: {estimate} of {truth}");
}

/// Two waits and four system calls a round, and too many rounds to look at each of them. Without a
/// budget everything is looked at, and costs many times as much.
#[test]
fn a_load_above_the_budget_is_held_and_totals_stay_right() {
    let _turn = require_root!();
    let overhead_of = |max_overhead: &str, error_max: f64| {
        let (recording, rounds) = record(max_overhead);
        let off_cpu = recording.profile("all.offcpu.json").unwrap();
        let calls = recording.profile("all.syscall_counts.json").unwrap();
        let lost = off_cpu.quality.lost_total() + calls.quality.lost_total();
        assert_eq!(0, lost);
        let waits = sum(&off_cpu, "pingpong", 1);
        check_close("waits", error_max, 2.0 * rounds, waits);
        let counted = sum(&calls, "pingpong", 0);
        check_close("system calls", error_max, 4.0 * rounds, counted);
        let duties = [off_cpu, calls].map(|profile| {
            say(&format!("{:?}", profile.quality));
            (profile.quality.duty_cycle, profile.quality.overhead)
        });
        let [(off_cpu_duty, overhead), (calls_duty, _)] = duties;
        (overhead, off_cpu_duty, calls_duty)
    };
    let (whole, off_cpu_duty, calls_duty) = overhead_of("off", ERROR_MAX);
    #[expect(clippy::float_cmp, reason = "exactly all of the time")]
    let is_whole = off_cpu_duty == 1.0 && calls_duty == 1.0;
    assert!(is_whole, "{off_cpu_duty} and {calls_duty} of the time");
    assert!(2.0 * BUDGET < whole, "{whole}: the load is too light");
    let (held, off_cpu_duty, calls_duty) = overhead_of("1%", SLICES_ERROR_MAX);
    say(&format!("overhead {whole:.4} is held at {held:.4}"));
    // With the first second, in which nothing is known yet.
    assert!(0.0 < held && held < 2.0 * BUDGET, "{held}");
    assert!(held < whole / 2.0, "{held} of {whole}");
    assert!(off_cpu_duty < 0.9 && calls_duty < 0.9);
}

/// Waits that are longer than a slice, and longer than the pause after it: none is left out, and none
/// counts twice.
#[test]
fn waits_that_outlast_the_slices_keep_their_weight() {
    const SETTLED: Duration = Duration::from_secs(4);
    let _turn = require_root!();
    let mut load = Command::new(workload("pingpong").unwrap());
    // So few that what sees waits end can stay within the budget, and too many for what sees them begin.
    let load = load.args(["600", &(ROUNDS_PER_SECOND / 4).to_string()]);
    let running = Running::start_silent(load).unwrap();
    let host = Record::host().option("-e").option("cpu,offcpu");
    let host = host.option("--max-overhead").option("0.5%");
    let host = host.option("-o").option("all.json");
    let mut recording = host.seconds(SECONDS + 8).start_bare().unwrap();
    recording.samples().unwrap();
    running.works_for(SETTLED).unwrap();
    let mut dozers = Command::new(workload("dozers").unwrap());
    let output = dozers.arg(SECONDS.to_string()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let truth: Vec<f64> = (text.split_whitespace())
        .map(|number| number.parse().unwrap())
        .collect();
    let ended = recording.ended().unwrap();
    assert_eq!(Some(0), ended.code(), "{}", ended.stderr);
    let profile = recording.profile("all.offcpu.json").unwrap();
    say(&format!("{:?}", profile.quality));
    assert!(profile.quality.duty_cycle < 0.9, "{:?}", profile.quality);
    assert_eq!(0, profile.quality.lost_total());
    check_close(
        "naps",
        SLICES_ERROR_MAX,
        truth[0],
        sum(&profile, "dozer", 1),
    );
    let off_us = sum(&profile, "dozer", 0) / 1e3;
    check_close("microseconds", SLICES_ERROR_MAX, truth[1], off_us);
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
            governs_all: true,
            counts_always: false,
        },
    };
    let watched = || {
        let shutdown = Shutdown::default();
        let stop = shutdown.clone();
        let mut windows: Vec<(WatchedWindow, Duration)> = Vec::new();
        let deliver = &mut |window: WatchedWindow| {
            windows.push((window, running.cpu_time().unwrap()));
            if windows.len() > WINDOWS {
                stop.request();
            }
        };
        watch(&options, &SharedLabelRules::default(), &shutdown, deliver).unwrap();
        windows
    };
    // On a thread of its own, whose priority it raises.
    let windows = thread::scope(|scope| scope.spawn(watched).join().unwrap());
    let truth = windows[WINDOWS].1.checked_sub(windows[0].1).unwrap();
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
    check_close(
        "CPU seconds",
        ERROR_MAX,
        truth.as_secs_f64(),
        sum_ns as f64 / 1e9,
    );
    let last = &counted[WINDOWS - 1].0.profile.quality;
    say(&format!("{last:?}"));
    assert!(
        last.rate_effective_hz < f64::from(ASKED_HZ) / 2.0,
        "{last:?}"
    );
}
