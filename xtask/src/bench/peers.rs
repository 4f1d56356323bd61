//! What people use today: `perf record`, then `perf script`, then inferno.

use std::{
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};

use super::{
    measure::{self, Used},
    product::{Product, tail},
};
use crate::command::Step;

/// Time for perf to start and to write what it has.
const RECORD_SLACK: Duration = Duration::from_secs(60);
/// Status of `timeout` when it ended the command.
const TIMED_OUT: i32 = 124;
/// Version of inferno that draws the pictures of perf; the library the profiler draws with.
const INFERNO: &str = "0.12.6";
/// Time to build it.
const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// How perf finds callers.
#[derive(Clone, Copy)]
pub(crate) enum CallGraph {
    /// By frame pointers: short or wrong where a program has none.
    FramePointers,
    /// From copies of the stack, unwound after the recording.
    Dwarf,
}

impl CallGraph {
    /// What perf is told.
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::FramePointers => &["-g"],
            Self::Dwarf => &["--call-graph", "dwarf"],
        }
    }

    /// The command as a person would type it.
    pub(crate) fn shown(self) -> String {
        format!(
            "perf record -F 99 -a {} + perf script",
            self.flags().join(" ")
        )
    }
}

/// A recording of perf, in a file.
pub(crate) struct Recorded {
    data: PathBuf,
    /// What recording took.
    pub(crate) used: Used,
    /// Samples in the file.
    pub(crate) samples: u64,
}

/// Records the whole host at 99 Hz.
///
/// # Errors
/// When perf cannot, or cannot read back what it wrote.
pub(crate) fn record(
    product: &Product<'_>,
    call_graph: CallGraph,
    seconds: u32,
) -> anyhow::Result<Recorded> {
    let (data, log) = (product.file("perf.data"), product.file("perf.log"));
    let limit = Duration::from_secs(seconds.into()) + RECORD_SLACK;
    let step = measure::step(limit, "perf")?
        // No build ids: perf 6.1 aborts at one of more than 20 bytes in any program that runs.
        .args(["record", "--no-buildid", "-F", "99", "-a"])
        .args(call_graph.flags())
        .args(["-o".as_ref(), data.as_os_str()])
        .args(["--", "sleep", &seconds.to_string()]);
    let used = measure::run(step, &log)?;
    ensure!(
        used.status.success(),
        "perf record: {}\n{}",
        used.status,
        tail(&log)
    );
    // Only the times: no stack is unwound, no name looked up.
    let times = Step::bounded(RECORD_SLACK, "perf").args(["script", "-F", "time", "-i"]);
    let lines = times.args([&data]).output().context("count the samples")?;
    let samples = lines.lines().filter(|line| !line.is_empty()).count() as u64;
    ensure!(0 < samples, "perf took no sample");
    Ok(Recorded {
        data,
        used,
        samples,
    })
}

/// Names a recording into a text, with inlines, as perf does when nothing else is said. What is not
/// done within the limit is ended.
pub(crate) fn script(
    product: &Product<'_>,
    recorded: &Recorded,
    limit: Duration,
) -> anyhow::Result<(Used, PathBuf)> {
    let text = product.file("perf.script");
    // Warnings go elsewhere: they would be taken for stacks.
    let step = measure::step(limit, "sh")?
        .args(["-c", r#"exec perf script -i "$0" 2>/dev/null"#])
        .args([&recorded.data]);
    let used = measure::run(step, &text)?;
    ensure!(
        used.status.success() || cut_short(&used),
        "perf script: {}",
        used.status
    );
    Ok((used, text))
}

/// Whether it did not get to its end: the limit ended it, or it aborted, as perf 6.1 does at a build id
/// of more than 20 bytes in any program that it met.
pub(crate) fn cut_short(used: &Used) -> bool {
    used.status.code() == Some(TIMED_OUT) || used.status.signal().is_some()
}

/// Installs inferno's command-line tools into `target/bench` when they are not there.
pub(crate) fn install_inferno(product: &Product<'_>) -> anyhow::Result<()> {
    let root = product.file("inferno");
    if root.join("bin/inferno-flamegraph").is_file() {
        return Ok(());
    }
    Step::bounded(INSTALL_LIMIT, "cargo")
        .args([
            "install",
            "inferno",
            "--locked",
            "--version",
            INFERNO,
            "--root",
        ])
        .args([&root])
        .run()
        .context("install inferno")
}

/// Draws a flame graph of what `perf script` wrote.
pub(crate) fn draw(product: &Product<'_>, text: &Path) -> anyhow::Result<Used> {
    let bin = product.file("inferno/bin");
    let line = r#""$0/inferno-collapse-perf" "$1" 2>/dev/null | "$0/inferno-flamegraph""#;
    let step = measure::step(RECORD_SLACK, "sh")?
        .args(["-c", line])
        .args([&bin, text]);
    let used = measure::run(step, &product.file("perf.svg"))?;
    ensure!(used.status.success(), "inferno: {}", used.status);
    Ok(used)
}
