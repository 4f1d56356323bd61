//! What a guest hands back over its second serial port.
//!
//! ```text
//! @boot 6.12.94-cloud-amd64
//! @begin doctor
//! … whatever doctor prints …
//! @end doctor 0
//! @done
//! ```

use std::collections::BTreeMap;

/// Everything a guest said.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Release of the kernel that ran.
    pub(super) release: String,
    /// What each step of the script printed, and its status.
    steps: BTreeMap<String, Step>,
    /// The step that has begun and not ended; empty between steps.
    open: String,
    /// Whether the script came to its end.
    pub(super) is_whole: bool,
}

/// One step of the guest's script.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Step {
    /// What it printed.
    pub(super) text: String,
    /// Its exit status; absent when it did not end.
    pub(super) status: Option<i32>,
}

impl Report {
    /// Reads what the port wrote. Lines outside a step are chatter and ignored.
    pub(super) fn read(said: &str) -> Self {
        let mut report = Self::default();
        for line in said.lines() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some("@boot"), Some(release), _) => release.clone_into(&mut report.release),
                (Some("@begin"), Some(name), None) => name.clone_into(&mut report.open),
                (Some("@end"), Some(name), Some(status)) if name == report.open => {
                    report.open_mut().status = status.parse().ok();
                    report.open.clear();
                }
                (Some("@done"), None, None) => report.is_whole = true,
                _ if report.open.is_empty() => {}
                _ => {
                    let text = &mut report.open_mut().text;
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
        report
    }

    /// A step by its name; an empty one without status when the guest did not come to it.
    pub(super) fn step(&self, name: &str) -> &Step {
        const NONE: &Step = &Step {
            text: String::new(),
            status: None,
        };
        self.steps.get(name).unwrap_or(NONE)
    }

    /// The step that the guest was at when it stopped talking.
    pub(super) fn open_step(&self) -> Option<&str> {
        (!self.open.is_empty()).then_some(self.open.as_str())
    }

    /// The open step, as an entry.
    fn open_mut(&mut self) -> &mut Step {
        self.steps.entry(self.open.clone()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_apart() {
        let report = Report::read(
            "noise\n@boot 6.1.0\n@begin doctor\nall well\n\nyes\n@end doctor 0\nnoise\n\
             @begin record\n@end record 3\n@done\n",
        );
        assert_eq!(report.release, "6.1.0");
        assert_eq!(report.step("doctor").text, "all well\n\nyes\n");
        assert_eq!(report.step("doctor").status, Some(0));
        assert_eq!(report.step("record").status, Some(3));
        assert_eq!(report.step("absent").status, None);
        assert!(report.is_whole);
        assert_eq!(report.open_step(), None);
    }

    #[test]
    fn a_guest_that_stops_midway_is_not_whole() {
        let report = Report::read("@boot 6.1.0\n@begin doctor\nall w");
        assert!(!report.is_whole);
        assert_eq!(report.open_step(), Some("doctor"));
        assert_eq!(report.step("doctor").status, None);
    }
}
