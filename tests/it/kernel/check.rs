//! What the tests of this folder ask of a profile.

use std::{ffi::OsString, iter};

use profiler_tests::harness::{Collapsed, FoldedStack, Outcome, Record, tolerance, workload};

/// Samples a second of the short tests: a prime, so that no loop keeps step with it.
pub(super) const FAST_HZ: u32 = 997;
/// Least share of a program's samples that must hold its whole chain.
pub(super) const COMPLETE: f64 = 0.99;

/// A recording of a workload from its first instruction; its first argument is for how long.
pub(super) fn record(name: &str, seconds: u32) -> Record {
    let program = Record::program(workload(name).unwrap()).hz(FAST_HZ);
    program.argument(seconds.to_string())
}

/// Runs a recording that must go well, and gives the stacks of the threads of one name.
#[track_caller]
pub(super) fn stacks_of(comm: &str, record: &Record) -> Collapsed {
    let outcome = run(record);
    let stacks = outcome.collapsed.of_comm(comm);
    assert!(
        stacks.total() >= 100,
        "only {} samples of {comm} in:\n{}",
        stacks.total(),
        outcome.collapsed.heaviest(20)
    );
    stacks
}

/// Runs a recording that must go well.
#[track_caller]
pub(super) fn run(record: &Record) -> Outcome {
    let outcome = record.run().unwrap();
    let ended = &outcome.ended;
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    check_quality(&outcome);
    outcome
}

/// Every sample is accounted for once, and both outputs tell the same.
#[track_caller]
pub(super) fn check_quality(outcome: &Outcome) {
    let quality = &outcome.profile.quality;
    let values = outcome.profile.samples.iter();
    let counted: u64 = values.filter_map(|sample| sample.values.first()).sum();
    assert_eq!(
        quality.samples, counted,
        "samples of the profile: {quality:?}"
    );
    assert_eq!(quality.samples, outcome.collapsed.total(), "{quality:?}");
    let ended = quality.complete + quality.truncated_total();
    assert_eq!(
        quality.samples, ended,
        "complete and truncated: {quality:?}"
    );
    assert_eq!(quality.lost_total(), 0, "lost: {quality:?}");
    let marked = outcome.collapsed.select(FoldedStack::is_truncated);
    assert_eq!(marked.total(), quality.truncated_total(), "{quality:?}");
}

/// At least 99 % of the samples hold this chain of functions without a gap.
#[track_caller]
pub(super) fn check_chain(stacks: &Collapsed, chain: &[&str]) {
    let held = stacks.share_holding(chain);
    let without = stacks.select(|stack| !stack.holds(chain));
    assert!(
        held >= COMPLETE,
        "{:.2} % hold {chain:?}, the others are\n{}",
        held * 100.0,
        without.heaviest(10)
    );
}

/// At least 99 % of the samples are complete.
#[track_caller]
pub(super) fn check_complete(stacks: &Collapsed) {
    let cut = stacks.select(FoldedStack::is_truncated);
    let complete = stacks.share(|stack| !stack.is_truncated());
    assert!(
        complete >= COMPLETE,
        "{:.2} % are complete, the others are\n{}",
        complete * 100.0,
        cut.heaviest(10)
    );
}

/// The functions have these shares of the samples, as well as chance allows.
#[track_caller]
pub(super) fn check_shares(stacks: &Collapsed, shares: &[(&str, f64)]) {
    let samples = stacks.total();
    check_shares_within(stacks, shares, |share| tolerance(share, samples));
}

/// The functions have these shares of the samples, within a tolerance that depends on the share.
#[track_caller]
pub(super) fn check_shares_within(
    stacks: &Collapsed,
    shares: &[(&str, f64)],
    within: impl Fn(f64) -> f64,
) {
    for (function, share) in shares {
        let found = stacks.share_total(function);
        assert!(
            (found - share).abs() <= within(*share),
            "{function} has {:.2} %, not {:.0} ± {:.2}, of {} samples:\n{}",
            found * 100.0,
            share * 100.0,
            within(*share) * 100.0,
            stacks.total(),
            stacks.heaviest(10)
        );
    }
}

/// `first`, then `depth` times `again`.
pub(super) fn recursion<'name>(
    first: &'name str,
    again: &'name str,
    depth: usize,
) -> Vec<&'name str> {
    iter::once(first)
        .chain(iter::repeat_n(again, depth))
        .collect()
}

/// A shell command line as a program to profile.
pub(super) fn shell(line: &str) -> Record {
    Record::program("sh")
        .hz(FAST_HZ)
        .argument("-c")
        .argument(line)
}

/// The same with arguments of the command line, `$0` and on.
pub(super) fn shell_with<const N: usize>(line: &str, arguments: [OsString; N]) -> Record {
    arguments.into_iter().fold(shell(line), Record::argument)
}
