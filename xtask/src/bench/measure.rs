//! CPU time and wall time of a command, and medians.

use std::{
    fs,
    path::Path,
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::command::Step;

/// What a command used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// User and system time of the command and the children it waited for. Steps of 10 ms.
    pub(crate) cpu: Duration,
    /// From start to end.
    pub(crate) wall: Duration,
    /// How it ended.
    pub(crate) status: ExitStatus,
}

/// Runs a command with its output in a file.
pub(crate) fn run(step: Step, log: &Path) -> anyhow::Result<Used> {
    let cpu_before = children_cpu()?;
    let start = now();
    let status = step.into_file(log)?;
    Ok(Used {
        wall: start.elapsed(),
        cpu: children_cpu()?.saturating_sub(cpu_before),
        status,
    })
}

/// The time.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

/// CPU time of all children that ended and were waited for, theirs included.
fn children_cpu() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("read /proc/self/stat")?;
    children_ticks(&stat)
        // USER_HZ is 100 on every architecture that this product runs on.
        .map(|ticks| Duration::from_millis(ticks * 10))
        .context("find the times of children in /proc/self/stat")
}

/// Fields 16 and 17 of proc(5): user and system time of children that were waited for.
fn children_ticks(stat: &str) -> Option<u64> {
    // The name in parentheses may hold anything; field 3 follows it.
    let (_name, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(13);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// The value below which this share of the values lies; 0.5 for the median. NaN without values.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into a short list"
    )]
    let index = ((sorted.len().saturating_sub(1)) as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{children_ticks, quantile, run};
    use crate::command::Step;

    #[test]
    fn the_median_is_in_the_middle() {
        let values = [5.0, 1.0, 3.0];
        assert!((quantile(&values, 0.5) - 3.0).abs() < 1e-9);
        assert!((quantile(&values, 0.0) - 1.0).abs() < 1e-9);
        assert!((quantile(&values, 1.0) - 5.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 30 4 20 0";
        assert_eq!(children_ticks(stat), Some(34));
    }

    #[test]
    fn work_of_a_grandchild_counts() {
        let step = Step::new("sh").args([
            "-c",
            "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; true",
        ]);
        let used = run(step, std::path::Path::new("/dev/null")).unwrap();
        assert!(used.status.success());
        assert!(used.cpu > Duration::ZERO);
    }
}
