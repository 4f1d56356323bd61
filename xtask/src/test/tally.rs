//! What passed, failed and was skipped.

use std::fmt;

use super::{binary::Kind, libtest::Outcome};

/// Counts of tests and checks, with a line for each that did not pass.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: usize,
    /// Why, for each that failed.
    failed: Vec<String>,
    /// Why, for each that was not run.
    skipped: Vec<String>,
    /// Of the skipped ones, how many are privileged.
    skipped_privileged: usize,
}

impl Tally {
    /// Counts a check that passed.
    pub(crate) fn pass(&mut self) {
        self.passed += 1;
    }

    /// Counts a check that failed, and says why.
    pub(crate) fn fail(&mut self, why: String) {
        println!("FAILED: {why}");
        self.failed.push(why);
    }

    /// Counts a check that was not run, and says why.
    pub(crate) fn skip(&mut self, why: String) {
        println!("SKIPPED: {why}");
        self.skipped.push(why);
    }

    /// Counts a check that privilege or a guest would have run, and says why it was not.
    pub(crate) fn skip_privileged(&mut self, why: String) {
        self.skipped_privileged += 1;
        self.skip(why);
    }

    /// Adds the counts of another tally, which has said its own.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
        self.skipped_privileged += other.skipped_privileged;
    }

    /// Adds the tests of one run of a test program, which has shown them.
    pub(super) fn add_tests(&mut self, outcome: Outcome, kind: Kind) {
        if kind == Kind::Privileged {
            self.skipped_privileged += outcome.skipped.len();
        }
        self.passed += outcome.passed;
        self.failed.extend(outcome.failed);
        self.skipped.extend(outcome.skipped);
    }

    /// Makes skipped privileged tests a failure: one, whatever their number.
    pub(super) fn fail_skipped_privileged(&mut self) {
        if self.skipped_privileged > 0 {
            self.fail(format!(
                "{} privileged tests were skipped, and CI or PROFILER_REQUIRE_PRIVILEGED is set",
                self.skipped_privileged
            ));
        }
    }

    /// Whether anything failed.
    pub(crate) fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// A line for everything that did not pass.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        let skipped = self.skipped.iter().map(|why| format!("SKIPPED: {why}"));
        let failed = self.failed.iter().map(|why| format!("FAILED: {why}"));
        skipped.chain(failed)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
            skipped_privileged: _,
        } = self;
        write!(
            f,
            "{passed} passed, {} failed, {} skipped",
            failed.len(),
            skipped.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        Outcome {
            passed: 4,
            failed: Vec::new(),
            skipped: vec!["kernel::attaches: needs root".to_owned()],
            has_ended: true,
        }
    }

    #[test]
    fn the_closing_line_is_plain() {
        let mut tally = Tally::default();
        tally.pass();
        tally.add_tests(outcome(), Kind::Privileged);
        assert_eq!(tally.to_string(), "5 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn a_skipped_privileged_test_fails_where_privilege_is_required() {
        let mut tally = Tally::default();
        tally.add_tests(outcome(), Kind::Privileged);
        assert!(!tally.has_failed());
        tally.fail_skipped_privileged();
        assert!(tally.has_failed());
    }

    #[test]
    fn a_skipped_ordinary_test_fails_nothing() {
        let mut tally = Tally::default();
        tally.add_tests(outcome(), Kind::Ordinary);
        tally.fail_skipped_privileged();
        assert!(!tally.has_failed());
    }
}
