//! Time off the CPU: how long, where, and what for.

use profiler::model::{Profile, label};
use profiler_tests::{
    harness::{Outcome, Record, product, workload},
    require_root,
};

/// Largest relative error of an estimate. The standard error of a total of T seconds of short waits
/// is the root of 1 ms / T: 1 % of 10 s.
const ERROR_MAX: f64 = 0.05;
/// Least share of the time whose stacks must be complete.
const COMPLETE_MIN: f64 = 0.97;

/// A recording of a workload's time off the CPU, its children and threads included.
fn record(name: &str, seconds: u32) -> Record {
    let program = Record::program(workload(name).unwrap()).unlimited();
    program
        .option("-e")
        .option("offcpu")
        .argument(seconds.to_string())
}

/// Runs a recording that must go well and lose nothing.
#[track_caller]
fn run(record: &Record) -> Outcome {
    let outcome = record.run().unwrap();
    assert_eq!(Some(0), outcome.ended.code(), "{}", outcome.ended.stderr);
    assert_eq!(0, outcome.profile.quality.lost_total());
    outcome
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
    check_within(what, ERROR_MAX, truth, estimate);
}

/// That the relative error of an estimate is at most so much.
#[track_caller]
fn check_within(what: &str, error_max: f64, truth: f64, estimate: f64) {
    let error = (estimate - truth).abs() / truth;
    assert!(error <= error_max, "{what}: {estimate} instead of {truth}");
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

/// Two profiles of one run of the workload with short and long waits, from two recordings at once:
/// of the outer one, whose programs run first, and of the inner one. Each is told from which length
/// on it sends every wait, in microseconds.
fn record_twice(outer_period: &str, inner_period: &str) -> [Profile; 2] {
    let product = product().unwrap();
    let options = |period, file| {
        let budget = ["--max-overhead", "off"];
        let signal = ["-e", "offcpu", "--offcpu-period", period, "-o", file];
        budget.into_iter().chain(signal)
    };
    let outer = options(outer_period, "outer.json");
    let inner = options(inner_period, "inner.json");
    let outer = outer.fold(Record::program(product), Record::option);
    let record = (["record"].into_iter().chain(inner).chain(["--"])).fold(outer, Record::argument);
    let record = record.argument(workload("waitlens").unwrap()).argument("8");
    let mut recording = record.start_bare().unwrap();
    let ended = recording.ended().unwrap();
    assert_eq!(Some(0), ended.code(), "{}", ended.stderr);
    ["outer.json", "inner.json"].map(|file| {
        let profile = recording.profile(file).unwrap();
        assert_eq!(0, profile.quality.lost_total(), "{}", ended.stderr);
        profile
    })
}

/// Two threads wait as long in all, one for 10 µs and one for 100 ms at a time. The truth is another
/// recording of the same run, which sends every wait. The one whose programs run first sees longer
/// waits, by the time that they take: so each has that place once, and the mean has no such part.
#[test]
fn short_and_long_waits_weigh_the_same() {
    let _turn = require_root!();
    let [exact_first, sampled_second] = record_twice("1", "1000");
    let [sampled_first, exact_second] = record_twice("1000", "1");
    let pairs = [
        (&exact_first, &sampled_second),
        (&exact_second, &sampled_first),
    ];
    let brief = |comm: &str, _reason: &str| comm == "brief";
    let long = |comm: &str, _reason: &str| comm == "long";
    let mut ratio_of_delays = 1.0;
    for (exact, sampled) in pairs {
        ratio_of_delays *= delay_us(sampled, brief) / delay_us(exact, brief);
        check_within(
            "long",
            0.001,
            delay_us(exact, long),
            delay_us(sampled, long),
        );
        // The number varies more than the time: a short wait stands for many.
        check_within("number", 0.15, sum(exact, 1, brief), sum(sampled, 1, brief));
        let (sent, all) = (sampled.quality.samples, exact.quality.samples);
        assert!(10 * sent < all, "{sent} of {all} were sent");
    }
    check_close("short", 1.0, ratio_of_delays.sqrt());
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
    let program = Record::program(workload("crowd").unwrap())
        .unlimited()
        .hz(499);
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
