//! CPU time and wall time of a command, and medians.
//!
//! CPU time is that of a control group: it holds children that nobody waited for as well, such as the
//! helpers of a perf that was ended.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitStatus,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::command::Step;

/// Name of the control group, beside those of the system.
const GROUP: &str = "profiler-bench";
/// Shell that enters a group and becomes another command.
const ENTER: &str = r#"echo $$ >"$0/cgroup.procs" && exec "$@""#;

/// What a command used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// User and system time of the command and everything it started.
    pub(crate) cpu: Duration,
    /// From start to end.
    pub(crate) wall: Duration,
    /// How it ended.
    pub(crate) status: ExitStatus,
}

/// A command that is measured, and ended when it runs longer than this.
///
/// # Errors
/// When there are no control groups of version 2.
pub(crate) fn step(limit: Duration, program: &str) -> anyhow::Result<Step> {
    let seconds = limit.as_secs().to_string();
    Ok(Step::new("sh").args(["-c", ENTER]).args([group()?]).args([
        "timeout",
        "--kill-after=10",
        &seconds,
        program,
    ]))
}

/// Runs a command made by [`step`] with its output in a file. What it leaves behind is ended.
pub(crate) fn run(step: Step, log: &Path) -> anyhow::Result<Used> {
    let group = group()?;
    let cpu_before = cpu_of(&group)?;
    let start = now();
    let status = step.into_file(log)?;
    let wall = start.elapsed();
    let cpu = cpu_of(&group)?.saturating_sub(cpu_before);
    // The file is there since Linux 5.14; older ones keep what perf left until it is done.
    drop(fs::write(group.join("cgroup.kill"), "1"));
    Ok(Used { cpu, wall, status })
}

/// The time.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock since the Unix epoch, as the product and the loads tell it.
///
/// # Errors
/// When it is before that.
#[expect(clippy::disallowed_types, reason = "this program has no other clock")]
pub(crate) fn unix_time() -> anyhow::Result<Duration> {
    use std::time::{SystemTime, UNIX_EPOCH};
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "what is measured has a length")]
pub(crate) fn pause(length: Duration) {
    thread::sleep(length);
}

/// The control group of what is measured, made when missing.
fn group() -> anyhow::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("read /proc/self/mounts")?;
    let root = cgroup2(&mounts).context("find where control groups of version 2 are mounted")?;
    let group = Path::new(root).join(GROUP);
    fs::create_dir_all(&group).with_context(|| format!("create {}", group.display()))?;
    Ok(group)
}

/// Where control groups of version 2 are mounted.
fn cgroup2(mounts: &str) -> Option<&str> {
    let mut lines = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    lines.find_map(|words| match words.as_slice() {
        [_, place, "cgroup2", ..] => Some(*place),
        _ => None,
    })
}

/// CPU time of everything that ever ran in a group.
fn cpu_of(group: &Path) -> anyhow::Result<Duration> {
    let path = group.join("cpu.stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    usage(&stat).with_context(|| format!("find usage_usec in {}", path.display()))
}

/// The field `usage_usec`.
fn usage(stat: &str) -> Option<Duration> {
    let line = stat
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "))?;
    line.trim().parse().ok().map(Duration::from_micros)
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

    use super::{cgroup2, quantile, usage};

    #[test]
    fn the_median_is_in_the_middle() {
        let values = [5.0, 1.0, 3.0];
        assert!((quantile(&values, 0.5) - 3.0).abs() < 1e-9);
        assert!((quantile(&values, 0.0) - 1.0).abs() < 1e-9);
        assert!((quantile(&values, 1.0) - 5.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn the_mount_and_the_time_are_found() {
        let mounts =
            "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\nx /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(cgroup2(mounts), Some("/sys/fs/cgroup/unified"));
        assert_eq!(
            usage("usage_usec 1500\nuser_usec 9\n"),
            Some(Duration::from_micros(1500))
        );
        assert_eq!(usage("user_usec 9\n"), None);
    }
}
