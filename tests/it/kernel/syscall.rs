//! System calls: how many, how they ended, how long they took, and who made them.

use std::{collections::BTreeMap, process::Command, thread, time::Duration};

use profiler::{
    host::{
        Shutdown,
        run::{
            Budget, SharedLabelRules, SignalOptions, Unwinding, WatchOptions, WatchedWindow, watch,
        },
    },
    model::{DurationBucket, Signal},
};
use profiler_tests::{
    harness::{Record, workload},
    require_root,
};

use super::rows::{Row, rows, sum};

/// Largest relative error of an estimate.
const ERROR_MAX: f64 = 0.05;
/// Least share of the time whose stacks must be complete.
const COMPLETE_MIN: f64 = 0.97;
/// Times that strace is tried.
const STRACE_TRIES: u32 = 3;
/// Calls that a process of strace makes before it becomes the program, once each.
const BEFORE_EXEC: [&str; 2] = ["close", "set_robust_list"];
/// Status of a program that a segmentation fault ended.
const SEGMENTATION_FAULT: i32 = 128 + 11;
/// Place of the calls, and of the nanoseconds, in a row.
const CALLS: usize = 0;
const TIME: usize = 1;

/// That an estimate is the truth, nearly.
#[track_caller]
#[expect(clippy::cast_precision_loss, reason = "minutes, in nanoseconds")]
fn check_close(what: &str, truth: u64, estimate: u64) {
    let error = (estimate as f64 - truth as f64).abs() / truth as f64;
    assert!(error <= ERROR_MAX, "{what}: {estimate} instead of {truth}");
}

/// The two times that the workload printed, in microseconds: asleep, and in the pipe.
fn printed_us(stdout: &str) -> [u64; 2] {
    let last = stdout.lines().last().unwrap();
    let mut words = last.split(' ').map(|word| word.parse().unwrap());
    [words.next().unwrap(), words.next().unwrap()]
}

/// Two threads on several CPUs, calls that fail in four ways, and calls that wait: each as often as
/// the program made it, and as long as its own clock says.
#[test]
fn every_call_is_counted_as_often_as_it_was_made() {
    let _turn = require_root!();
    let program = Record::program(workload("calls").unwrap()).unlimited();
    let outcome = program.option("-e").option("syscall_counts").run().unwrap();
    assert_eq!(Some(0), outcome.ended.code(), "{}", outcome.ended.stderr);
    assert_eq!(0, outcome.profile.quality.lost_total());
    let rows = rows(&outcome.profile, "calls");
    let truth = [
        (vec!["getppid", "ok"], 200_000),
        (vec!["getppid"], 200_000),
        (vec!["sched_yield", "ok"], 5_000),
        (vec!["read", "EAGAIN"], 3_000),
        (vec!["unlink", "ENOENT"], 2_000),
        (vec!["lseek", "ESPIPE"], 1_000),
        (vec!["close", "EBADF"], 500),
        // Both threads that sleep, 150 times each.
        (vec!["clock_nanosleep", "ok"], 300),
        (vec!["exit_group", "no return"], 1),
        (vec!["execve", "ok"], 1),
    ];
    for (names, count) in truth {
        assert_eq!(count, sum(&rows, &names, CALLS), "{names:?}");
    }
    let [asleep, piped] = printed_us(&outcome.ended.stdout);
    check_close("read", piped, sum(&rows, &["read", "ok"], TIME) / 1_000);
    let slept = sum(&rows, &["clock_nanosleep"], TIME) / 1_000;
    check_close("clock_nanosleep", asleep + piped, slept);
    check_buckets(&rows);
}

/// Every bucket is readable, and the time of each row is within its bounds.
fn check_buckets(rows: &[Row]) {
    let ended = rows.iter().filter(|row| row.names.len() == 3);
    for row in ended {
        let bucket: DurationBucket = row.names[2].parse().unwrap();
        let (lower, upper) = bucket.bounds_ns();
        let [calls, time_ns] = row.values[..] else {
            panic!("{:?}", row.values);
        };
        assert!(
            calls * lower <= time_ns && time_ns < calls * upper,
            "{:?} {calls} {time_ns}",
            row.names
        );
    }
}

/// What strace counted, by call: calls and errors.
fn strace_counts(text: &str) -> BTreeMap<String, (u64, u64)> {
    let lines = text.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = *words.last()?;
        let calls = words.get(3)?.parse().ok()?;
        let errors = match words.len() {
            6 => words[4].parse().ok()?,
            5 => 0,
            _ => return None,
        };
        (name != "total").then(|| (name.to_owned(), (calls, errors)))
    });
    lines.collect()
}

/// One run, counted by strace and by the product at once: the same calls, the same errors.
#[test]
fn the_counts_are_those_of_strace() {
    let _turn = require_root!();
    let Ok(_version) = Command::new("strace").arg("-V").output() else {
        eprintln!("SKIPPED: there is no strace");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let counts = dir.path().join("counts");
    let strace = Record::program("/usr/bin/strace")
        .unlimited()
        .option("-e")
        .option("syscall_counts")
        .argument("-f")
        .argument("-c")
        .argument("-o")
        .argument(&counts)
        .argument(workload("calls").unwrap());
    // strace itself dies of a bad address now and then, on machines that are very busy.
    let outcome = (0..STRACE_TRIES)
        .map(|_try| strace.run().unwrap())
        .find(|outcome| outcome.ended.code() != Some(SEGMENTATION_FAULT))
        .unwrap();
    assert_eq!(Some(0), outcome.ended.code(), "{}", outcome.ended.stderr);
    let rows = rows(&outcome.profile, "calls");
    let truth = strace_counts(&std::fs::read_to_string(&counts).unwrap());
    assert!(10 < truth.len(), "{truth:?}");
    for (name, (calls, errors)) in truth {
        let all = sum(&rows, &[&name], CALLS) - sum(&rows, &[&name, "no return"], CALLS);
        let failed = all - sum(&rows, &[&name, "ok"], CALLS);
        // The process that becomes the program is one of strace's before, and makes these.
        let before = if BEFORE_EXEC.contains(&name.as_str()) {
            all.saturating_sub(calls).min(1)
        } else {
            0
        };
        let own = rows.iter().filter(|row| row.names[0] == name);
        let own: Vec<_> = own.map(|row| (&row.names, &row.values)).collect();
        let quality = &outcome.profile.quality;
        assert_eq!(
            (calls, errors),
            (all - before, failed),
            "{name}: {own:?} {quality:?}"
        );
    }
}

/// Stacks weighted by time lead to the code that waits, from `main` on, and say which call it is in.
#[test]
fn time_in_calls_is_where_the_program_waits() {
    let _turn = require_root!();
    let program = Record::program(workload("calls").unwrap()).unlimited();
    let outcome = program.option("-e").option("syscall").run().unwrap();
    assert_eq!(Some(0), outcome.ended.code(), "{}", outcome.ended.stderr);
    assert_eq!(0, outcome.profile.quality.lost_total());
    let own = outcome.collapsed.of_comm("calls");
    let [asleep, piped] = printed_us(&outcome.ended.stdout);
    check_close("doze", asleep, own.with("doze").total());
    check_close("wait_for_pipe", piped, own.with("wait_for_pipe").total());
    let leaf = |function: &str, call: &str| {
        let stacks = own.with(function);
        stacks.share(|stack| stack.frames.last().is_some_and(|last| last == call))
    };
    assert!(
        0.999 < leaf("doze", "clock_nanosleep_[k]"),
        "{}",
        own.heaviest(5)
    );
    assert!(
        0.999 < leaf("wait_for_pipe", "read_[k]"),
        "{}",
        own.heaviest(5)
    );
    let waits = own.select(|stack| stack.count("doze") + stack.count("wait_for_pipe") > 0);
    assert!(COMPLETE_MIN <= waits.share(|stack| stack.count("main") == 1));
    let share = outcome.user_complete_share(|task| task.comm == "calls");
    assert!(COMPLETE_MIN <= share, "{share} complete");
}

/// A call of a 32-bit program has another number; it is told apart and named.
#[test]
fn calls_by_the_32_bit_way_are_told_apart() {
    let _turn = require_root!();
    let program = Record::program(workload("calls").unwrap())
        .unlimited()
        .argument("compat");
    let outcome = program.option("-e").option("syscall_counts").run().unwrap();
    if outcome.ended.code() == Some(SEGMENTATION_FAULT) {
        eprintln!("SKIPPED: this kernel has no system calls for 32-bit programs");
        return;
    }
    assert_eq!(Some(0), outcome.ended.code(), "{}", outcome.ended.stderr);
    let rows = rows(&outcome.profile, "calls");
    assert_eq!(400, sum(&rows, &["getppid (32-bit)", "ok"], CALLS));
    assert_eq!(400, sum(&rows, &["getppid", "ok"], CALLS));
}

/// Windows of two seconds while `sleep` sleeps for five.
fn windows_of_a_sleep() -> Vec<WatchedWindow> {
    let options = WatchOptions {
        host: "here".to_owned(),
        unwinding: Unwinding::Auto,
        rate_hz: 19,
        signals: SignalOptions::of([Signal::SyscallCounts]),
        window: Duration::from_secs(2),
        cache_dir: None,
        inlines: false,
        budget: Budget::UNLIMITED,
        bursts: None,
    };
    let watching = thread::spawn(move || {
        let shutdown = Shutdown::default();
        let stop = shutdown.clone();
        let mut windows = Vec::new();
        let mut sleeping = None;
        let deliver = &mut |window: WatchedWindow| {
            windows.push(window);
            if sleeping.is_none() {
                sleeping = Some(Command::new("sleep").arg("5").spawn().unwrap());
            }
            let over = sleeping.as_mut().unwrap().try_wait().unwrap().is_some();
            if over {
                stop.request();
            }
        };
        watch(&options, &SharedLabelRules::default(), &shutdown, deliver).unwrap();
        windows
    });
    watching.join().unwrap()
}

/// A call that spans windows has its time in each of them, once, and is one call in the last.
#[test]
fn a_call_that_goes_on_is_in_each_window_for_its_part() {
    let _turn = require_root!();
    let windows = windows_of_a_sleep();
    let asleep = |value, names: &'static [&'static str]| -> Vec<u64> {
        let of_window = |window: &WatchedWindow| sum(&rows(&window.profile, "sleep"), names, value);
        windows.iter().map(of_window).collect()
    };
    let time_ns = asleep(TIME, &["clock_nanosleep"]);
    let in_flight = asleep(TIME, &["clock_nanosleep", "in flight"]);
    let calls = asleep(CALLS, &["clock_nanosleep"]);
    check_close("in all", 5_000_000_000, time_ns.iter().sum());
    assert_eq!(1, calls.iter().sum::<u64>(), "{calls:?}");
    let whole = (in_flight.iter()).filter(|ns| (1_950_000_000..2_050_000_000).contains(*ns));
    assert!(1 <= whole.count(), "{in_flight:?}");
    let last_ns: u64 = (in_flight.iter().zip(&time_ns))
        .map(|(in_flight, all)| all - in_flight)
        .sum();
    assert!(0 < last_ns && last_ns < 2_100_000_000, "{last_ns}");
}
