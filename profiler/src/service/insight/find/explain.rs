//! What is hot because something else is wrong comes after that.

use super::look::Look;
use crate::service::insight::{Finding, FindingKind, Path, Severity, Site, evidence::number};

/// Of the CPU time of something hot, so much has to be of what explains it.
const EXPLAINED_SHARE_MIN: f64 = 0.5;

/// Makes what is hot no graver than what explains it, so that it is told after that: a function that
/// is called while a lock is held is hot, and the queue for the lock is what is wrong.
pub(super) fn settle(look: &Look<'_>, findings: &mut [Finding]) {
    let is_hot = |finding: &Finding| {
        matches!(
            finding.kind,
            FindingKind::HotFunction | FindingKind::HotPath
        )
    };
    let explains = |finding: &&Finding| {
        !is_hot(finding)
            && finding.kind != FindingKind::RunQueueSaturation
            && Severity::Warning <= finding.severity
    };
    let reasons: Vec<Finding> = findings.iter().filter(explains).cloned().collect();
    for hot in findings.iter_mut().filter(|finding| is_hot(finding)) {
        let explained = reasons
            .iter()
            .filter(|reason| is_explained(look, hot, reason));
        if let Some(gravest) = explained.map(|reason| reason.severity).max() {
            hot.severity = hot.severity.min(gravest);
        }
    }
}

/// Whether most of the CPU time of something hot passes through what explains it.
fn is_explained(look: &Look<'_>, hot: &Finding, reason: &Finding) -> bool {
    let table = &look.evidence.cpu;
    let is_at = |path: &Path, place: &Site| table.names(path).any(|site| site == place);
    let is_in = |path: &Path| {
        if hot.kind == FindingKind::HotFunction {
            table.names(path).next_back() == Some(&hot.place)
        } else {
            is_at(path, &hot.place)
        }
    };
    let places = || std::iter::once(&reason.place).chain(&reason.holder);
    let (mut of_hot, mut of_both) = (0.0, 0.0);
    for path in table.paths.iter().filter(|path| is_in(path)) {
        of_hot += number(path.values[0]);
        if places().any(|place| is_at(path, place)) {
            of_both += number(path.values[0]);
        }
    }
    EXPLAINED_SHARE_MIN * of_hot <= of_both && 0.0 < of_hot
}

#[cfg(test)]
mod tests {
    use crate::service::insight::{
        Evidence, FindingKind, Rules, Severity, find,
        find::fixture::{cpu, table},
    };

    /// Kinds and severities of a minute with calls of which one is a storm.
    fn told(on_cpu: &[(&str, u64)]) -> Vec<(FindingKind, Severity)> {
        let evidence = Evidence {
            syscall_counts: table(&[("stat;ok;512 ns .. 1 µs", [6_000_000, 4_200_000_000])]),
            syscall: table(&[("main;look;stat_[k]", [4_200_000_000, 6_000_000])]),
            ..cpu(on_cpu)
        };
        let found = find(&evidence, &Rules::default());
        found.into_iter().map(|f| (f.kind, f.severity)).collect()
    }

    #[test]
    fn a_function_that_is_hot_for_what_is_called_comes_after_it() {
        let told = told(&[
            ("main;look;stat_[k];strncpy_[k]", 4_500),
            ("main;look;stat_[k];walk_[k]", 700),
            ("main;rest", 600),
        ]);
        let expected = [
            (FindingKind::SyscallStorm, Severity::Warning),
            (FindingKind::HotFunction, Severity::Warning),
        ];
        assert_eq!(expected, told[..2]);
    }

    #[test]
    fn a_function_that_is_hot_elsewhere_stays_what_it_is() {
        let told = told(&[("main;crunch", 5_000), ("main;look;stat_[k]", 500)]);
        assert_eq!((FindingKind::HotFunction, Severity::Critical), told[0]);
    }
}
