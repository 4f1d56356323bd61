//! Reads what a test program prints: keeps it readable, and counts.
//!
//! A test that cannot run here prints a line `SKIPPED: why` and returns; libtest then calls it
//! passed. With `--show-output` what passing tests print comes in a section of its own, where
//! those lines are found. Lines `MEASURED: what` are shown as well; the rest of the section is not.

/// How the tests of one run ended.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Outcome {
    pub(super) passed: usize,
    /// Path of each test that failed.
    pub(super) failed: Vec<String>,
    /// Path of each test that did not run, and why.
    pub(super) skipped: Vec<String>,
    /// Whether the program came to its own closing line.
    pub(super) has_ended: bool,
}

impl Outcome {
    /// Whether the counts tell the whole story, given whether the program said success: not when it
    /// was ended by a signal or by its limit.
    pub(super) fn explains(&self, success: bool) -> bool {
        self.has_ended && success == self.failed.is_empty()
    }
}

/// Where in the output we are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Section {
    /// Tests as they end.
    #[default]
    Progress,
    /// What passing tests printed.
    Successes,
    /// What failing tests printed.
    Failures,
    /// The names of the failing tests.
    FailedNames,
}

/// Reads the output of one test program, line by line.
#[derive(Debug, Default)]
pub(super) struct Reader {
    section: Section,
    /// The test whose output is being read.
    test: String,
    /// Tests that libtest counted as passed and that said they were skipped.
    said_skipped: Vec<String>,
    outcome: Outcome,
}

impl Reader {
    /// Takes a line of output; hands back what to show of it.
    pub(super) fn read(&mut self, line: &str) -> Option<String> {
        match line {
            "successes:" => self.section = Section::Successes,
            "failures:" if self.section == Section::Failures => {
                self.section = Section::FailedNames;
            }
            "failures:" => self.section = Section::Failures,
            _ if line.starts_with("test result: ") => self.read_result(line),
            _ => {}
        }
        match self.section {
            Section::Progress => self.read_progress(line),
            Section::Successes => self.read_success(line),
            Section::Failures => Some(line.to_owned()),
            Section::FailedNames => {
                let name = line.strip_prefix("    ");
                self.outcome.failed.extend(name.map(str::to_owned));
                Some(line.to_owned())
            }
        }
    }

    /// What came of it all.
    pub(super) fn finish(self) -> Outcome {
        self.outcome
    }

    /// A test that libtest itself left out.
    fn read_progress(&mut self, line: &str) -> Option<String> {
        if let Some((name, why)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ... ignored"))
        {
            let why = why.trim_start_matches(", ");
            self.outcome.skipped.push(format!("{name}: ignored {why}"));
        }
        (!line.is_empty()).then(|| line.to_owned())
    }

    /// What a passing test printed: only what concerns everyone is shown.
    fn read_success(&mut self, line: &str) -> Option<String> {
        if let Some(name) = test_of_heading(line) {
            name.clone_into(&mut self.test);
            return None;
        }
        if let Some(why) = line.strip_prefix("SKIPPED: ") {
            if self.said_skipped.contains(&self.test) {
                return None;
            }
            self.said_skipped.push(self.test.clone());
            self.outcome.skipped.push(format!("{}: {why}", self.test));
            return Some(format!("SKIPPED: {}: {why}", self.test));
        }
        let measured = line.strip_prefix("MEASURED: ")?;
        Some(format!("MEASURED: {}: {measured}", self.test))
    }

    /// The closing line, with libtest's counts.
    fn read_result(&mut self, line: &str) {
        self.section = Section::Progress;
        self.outcome.has_ended = true;
        let passed = count(line, " passed").unwrap_or(0);
        self.outcome.passed = passed.saturating_sub(self.said_skipped.len());
    }
}

/// The test that a heading such as `---- kernel::attaches stdout ----` names.
fn test_of_heading(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

/// The number before a word, as in `ok. 12 passed;`.
fn count(line: &str, word: &str) -> Option<usize> {
    let before = line.split(word).next()?;
    before.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a whole output; hands back what was shown and what came of it.
    fn read(output: &str) -> (Vec<String>, Outcome) {
        let mut reader = Reader::default();
        let shown = output
            .lines()
            .filter_map(|line| reader.read(line))
            .collect();
        (shown, reader.finish())
    }

    const GREEN: &str = "\nrunning 3 tests\ntest a::b ... ok\ntest kernel::c ... ok\n\
        test d ... ignored, slow\n\nsuccesses:\n\n---- a::b stdout ----\nchatter\n\
        MEASURED: 12 ns\n\n---- kernel::c stdout ----\nSKIPPED: needs root\nSKIPPED: twice\n\n\n\
        successes:\n    a::b\n    kernel::c\n\n\
        test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.00s\n";

    #[test]
    fn a_test_that_says_it_was_skipped_did_not_pass() {
        let (_, outcome) = read(GREEN);
        let expected = Outcome {
            passed: 1,
            failed: Vec::new(),
            skipped: vec![
                "d: ignored slow".to_owned(),
                "kernel::c: needs root".to_owned(),
            ],
            has_ended: true,
        };
        assert_eq!(outcome, expected);
        assert!(outcome.explains(true));
    }

    #[test]
    fn passing_tests_show_only_what_concerns_everyone() {
        let (shown, _) = read(GREEN);
        assert!(
            shown.contains(&"MEASURED: a::b: 12 ns".to_owned()),
            "{shown:?}"
        );
        assert!(shown.contains(&"SKIPPED: kernel::c: needs root".to_owned()));
        assert!(!shown.iter().any(|line| line.contains("chatter")));
    }

    #[test]
    fn failing_tests_are_named_and_shown_whole() {
        let (shown, outcome) = read(
            "running 2 tests\ntest a ... FAILED\ntest b ... ok\n\nsuccesses:\n\nsuccesses:\n    b\n\n\
             failures:\n\n---- a stdout ----\nleft: 1\n\nfailures:\n    a\n\n\
             test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n",
        );
        assert_eq!(outcome.failed, ["a"]);
        assert_eq!(outcome.passed, 1);
        assert!(shown.contains(&"left: 1".to_owned()));
        assert!(outcome.explains(false));
    }

    #[test]
    fn a_program_that_dies_is_not_explained() {
        let (_, outcome) = read("running 2 tests\ntest a ... ok\n");
        assert!(!outcome.explains(false));
    }
}
