//! What the tests of this folder ask of a profile.

use std::{ffi::OsString, iter, ops::Deref};

use profiler::model::Truncation;
use profiler_tests::harness::{Collapsed, FoldedStack, Outcome, Record, tolerance, workload};

/// Samples a second of the short tests: a prime, so that no loop keeps step with it.
pub(super) const FAST_HZ: u32 = 997;
/// Longest time, of the program's own, until the stacks of a program never seen before are complete.
/// More than is promised, because the host may be busy with something else; `start_time` is strict.
const START_MS_MAX: u64 = 500;

/// A recording of a workload from its first instruction; its first argument is for how long.
pub(super) fn record(name: &str, seconds: u32) -> Record {
    let program = Record::program(workload(name).unwrap()).hz(FAST_HZ);
    program.argument(seconds.to_string())
}

/// Stacks, and how many samples may have none because their program had just begun.
#[derive(Debug)]
pub(super) struct Stacks {
    /// The stacks.
    all: Collapsed,
    /// Samples that were taken before the tables of the program were ready.
    pub(super) at_start: u64,
}

impl Deref for Stacks {
    type Target = Collapsed;

    fn deref(&self) -> &Collapsed {
        &self.all
    }
}

impl Stacks {
    /// Those with this function anywhere in them.
    pub(super) fn with(&self, function: &str) -> Self {
        self.narrowed(self.all.with(function))
    }

    /// Some of these stacks.
    pub(super) fn narrowed(&self, stacks: Collapsed) -> Self {
        Self {
            all: stacks,
            at_start: self.at_start,
        }
    }
}

/// Runs a recording that must go well, and gives the stacks of the threads of one name.
#[track_caller]
pub(super) fn stacks_of(comm: &str, record: &Record) -> Stacks {
    let outcome = run(record);
    let stacks = stacks_in(comm, &outcome);
    let limit = u64::from(FAST_HZ) * START_MS_MAX / 1000;
    assert!(
        stacks.at_start <= limit,
        "{} samples before the tables were ready",
        stacks.at_start
    );
    stacks
}

/// The stacks of the threads of one name in a recording of one command.
#[track_caller]
pub(super) fn stacks_in(comm: &str, outcome: &Outcome) -> Stacks {
    let stacks = outcome.collapsed.of_comm(comm);
    assert!(
        stacks.total() >= 100,
        "only {} samples of {comm} in:\n{}",
        stacks.total(),
        outcome.collapsed.heaviest(20)
    );
    let truncated = &outcome.profile.quality.truncated;
    let new = [
        Truncation::UnknownProcess,
        Truncation::Unmapped,
        Truncation::TableNotReady,
    ];
    Stacks {
        all: stacks,
        at_start: new.iter().filter_map(|reason| truncated.get(reason)).sum(),
    }
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

/// At least 99 % of the samples hold this chain of functions without a gap, once the tables are ready.
#[track_caller]
pub(super) fn check_chain(stacks: &Stacks, chain: &[&str]) {
    check_most(stacks, &format!("hold {chain:?}"), |stack| {
        stack.holds(chain)
    });
}

/// At least 99 % of the samples are complete, once the tables are ready.
#[track_caller]
pub(super) fn check_complete(stacks: &Stacks) {
    check_most(stacks, "are complete", |stack| !stack.is_truncated());
}

/// At least 99 % of the samples pass, once the tables are ready.
#[track_caller]
fn check_most(stacks: &Stacks, what: &str, pass: impl Fn(&FoldedStack) -> bool) {
    let others = stacks.select(|stack| !pass(stack));
    let beyond_the_start = others.total().saturating_sub(stacks.at_start);
    assert!(
        stacks.total() > 0 && beyond_the_start * 100 <= stacks.total(),
        "of {} samples {} do not {what}, and only {} of these are of the start:\n{}",
        stacks.total(),
        others.total(),
        stacks.at_start,
        others.heaviest(10)
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
