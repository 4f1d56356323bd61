//! Time off the CPU: how long, where, and what for.

use profiler::model::{Profile, label};
use profiler_tests::{
    harness::{Outcome, Record, workload},
    require_root,
};

use super::check::run;

/// Largest relative error of an estimate. The standard error of a total of T seconds of short waits
/// is the root of 1 ms / T: 1 % of 10 s.
const ERROR_MAX: f64 = 0.05;
/// Least share of the time whose stacks must be complete.
const COMPLETE_MIN: f64 = 0.97;

/// A recording of a workload's time off the CPU, its children and threads included.
fn record(name: &str, seconds: u32) -> Record {
    let program = Record::program(workload(name).unwrap());
    program
        .option("-e")
        .option("offcpu")
        .argument(seconds.to_string())
}

/// The numbers that a workload printed in the end, microseconds.
fn printed(outcome: &Outcome) -> Vec<f64> {
    let last = outcome.ended.stdout.lines().last().unwrap();
    last.split(' ').map(|word| word.parse().unwrap()).collect()
}

/// Sum of one value over the samples that pass, by thread name and reason.
#[expect(
    clippy::cast_precision_loss,
    reason = "minutes at most, in nanoseconds"
)]
fn sum(profile: &Profile, value: usize, pass: impl Fn(&str, &str) -> bool) -> f64 {
    let passes = |sample: &&profiler::model::Sample| {
        let task = profile.task(sample.task).unwrap();
        pass(&task.comm, &task.labels[label::REASON])
    };
    let samples = profile.samples.iter().filter(passes);
    samples.map(|sample| sample.values[value] as f64).sum()
}

/// Microseconds off the CPU of the samples that pass.
fn delay_us(profile: &Profile, pass: impl Fn(&str, &str) -> bool) -> f64 {
    sum(profile, 0, pass) / 1000.0
}

/// That an estimate is the truth, nearly.
#[track_caller]
fn check_close(what: &str, truth: f64, estimate: f64) {
    let error = (estimate - truth).abs() / truth;
    assert!(error <= ERROR_MAX, "{what}: {estimate} instead of {truth}");
}

/// That user stacks reach the start of their thread.
#[track_caller]
fn check_complete(outcome: &Outcome) {
    let share = outcome.user_complete_share(|_task| true);
    assert!(COMPLETE_MIN <= share, "{share} complete");
}

/// Asleep, for a mutex, for a pipe: 60, 30 and 10 parts, each by its function and by its reason.
#[test]
fn waits_of_three_kinds_are_told_apart() {
    let _turn = require_root!();
    let outcome = run(&record("waits", 15));
    let expected = [
        ("wait_asleep", "timer"),
        ("wait_for_mutex", "lock"),
        ("wait_for_pipe", "pipe"),
    ];
    for ((function, reason), truth) in expected.into_iter().zip(printed(&outcome)) {
        let own = outcome.collapsed.of_comm("waits").with(function);
        #[expect(clippy::cast_precision_loss, reason = "seconds, in microseconds")]
        let by_function = own.total() as f64;
        check_close(function, truth, by_function);
        let helper_less = delay_us(&outcome.profile, |comm, found| {
            comm == "waits" && found == reason
        });
        if reason != "lock" {
            // The turns between the threads wait for locks too.
            check_close(reason, truth, helper_less);
        }
    }
    check_complete(&outcome);
}

/// Two threads wait as long in all, one for 10 µs and one for 100 ms at a time; the number of waits
/// comes out too, although one of twenty short ones is seen.
#[test]
fn short_and_long_waits_weigh_the_same() {
    let _turn = require_root!();
    let outcome = run(&record("waitlens", 10));
    let [brief_us, long_us, waits] = printed(&outcome)[..] else {
        panic!("printed {:?}", outcome.ended.stdout);
    };
    let profile = &outcome.profile;
    let of = |name: &'static str| move |comm: &str, _reason: &str| comm == name;
    check_close("short", brief_us, delay_us(profile, of("brief")));
    check_close("long", long_us, delay_us(profile, of("long")));
    let asleep = |comm: &str, reason: &str| comm == "brief" && reason == "timer";
    // A wait counts for T / d, and short ones vary much in length: the estimate varies more.
    let events = sum(profile, 1, asleep);
    assert!((events - waits).abs() < 0.15 * waits, "{events} of {waits}");
    check_complete(&outcome);
}

/// Four busy threads on one CPU: each has it a quarter of the time, and waits the rest for it.
#[test]
fn preemption_is_no_wait_for_anything_but_a_cpu() {
    let _turn = require_root!();
    let outcome = run(&record("crowd", 8));
    let profile = &outcome.profile;
    let pushers = |comm: &str, _reason: &str| comm == "pusher";
    let off = delay_us(profile, pushers);
    check_close("off the CPU", printed(&outcome)[0], off);
    let preempted = delay_us(profile, |comm, reason| {
        comm == "pusher" && reason == "preempted"
    });
    assert!(0.98 * off < preempted, "{preempted} of {off}");
    let run_queue = sum(profile, 2, pushers) / 1000.0;
    check_close("in the run queue", off, run_queue);
    let own = outcome.collapsed.of_comm("pusher");
    let inside = own.with("push").total();
    assert!(own.total() * 9 / 10 < inside, "{}", own.heaviest(10));
    check_complete(&outcome);
}

/// What a thread is off the CPU and what it is on it make the time on the wall.
#[test]
fn on_and_off_make_the_time_on_the_wall() {
    let _turn = require_root!();
    let program = Record::program(workload("crowd").unwrap()).hz(499);
    let mut recording = program
        .option("-e")
        .option("cpu,offcpu")
        .option("-o")
        .option("both.json")
        .argument("6")
        .start_bare()
        .unwrap();
    let ended = recording.ended().unwrap();
    assert_eq!(Some(0), ended.code(), "{}", ended.stderr);
    let on = recording.profile("both.cpu.json").unwrap();
    let off = recording.profile("both.offcpu.json").unwrap();
    let ns = |profile: &Profile, value: usize| -> u64 {
        let own = profile.samples.iter().filter(|sample| {
            profile
                .task(sample.task)
                .is_some_and(|task| task.comm == "pusher")
        });
        own.map(|sample| sample.values[value]).sum()
    };
    #[expect(clippy::cast_precision_loss, reason = "seconds, in nanoseconds")]
    let seconds = (ns(&on, 1) + ns(&off, 0)) as f64 / 1e9;
    check_close("on and off", 4.0 * 6.0, seconds);
}
