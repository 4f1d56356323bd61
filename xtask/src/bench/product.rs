//! The release build of the profiler, and runs of it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::{
    measure::{self, Used},
    programs::Programs,
};
use crate::{
    command::{Step, is_root},
    repository::Repository,
};

/// Longest a run may take beyond its recording: tables at the start, names at the end.
const SLACK: Duration = Duration::from_secs(120);

/// The release build, and a folder for what measuring it leaves.
pub(crate) struct Product<'a> {
    /// The checkout.
    pub(crate) repository: &'a Repository,
    /// The profiler.
    path: PathBuf,
    /// `target/bench`: programs, outputs, caches.
    pub(crate) folder: PathBuf,
}

/// What the profiler says about a run of its own: see its hidden option `--cost`.
#[derive(Debug, Deserialize)]
pub(crate) struct Cost {
    /// Samples kept.
    pub(crate) samples: u64,
    /// Runs of the sampling program.
    pub(crate) runs: Option<u64>,
    /// Time inside it.
    pub(crate) run_time_ns: Option<u64>,
    /// User frames walked by it.
    pub(crate) frames_walked: u64,
    /// Bytes of unwind tables in the kernel.
    pub(crate) table_size_bytes: u64,
    /// From the start of the profiler to the first sample.
    pub(crate) started_after_ms: u64,
    /// High-water mark of its resident memory.
    pub(crate) peak_memory_bytes: u64,
}

impl Cost {
    /// Mean nanoseconds of a run of the sampling program, where the kernel tells.
    #[expect(
        clippy::cast_precision_loss,
        reason = "nanoseconds of one recording are below 2^52"
    )]
    pub(crate) fn ns_per_run(&self) -> Option<f64> {
        let (ns, runs) = self.run_time_ns.zip(self.runs)?;
        (0 < runs).then(|| ns as f64 / runs as f64)
    }
}

impl<'a> Product<'a> {
    /// Builds the profiler, or takes the one that `PROFILER_BIN` names.
    ///
    /// # Errors
    /// When this is not root, or the build fails.
    pub(crate) fn build(repository: &'a Repository) -> anyhow::Result<Self> {
        ensure!(is_root(), "measuring a host needs root: run this as root");
        let path = if let Some(given) = env::var_os("PROFILER_BIN") {
            fs::canonicalize(given).context("find PROFILER_BIN")?
        } else {
            repository
                .cargo(["build", "--release", "--package", "profiler"])
                .run()
                .context("build the profiler")?;
            repository.target.join("release/profiler")
        };
        let folder = repository.target.join("bench");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(Self {
            repository,
            path,
            folder,
        })
    }

    /// The profiler.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The programs that are profiled.
    pub(crate) fn programs(&self) -> Programs<'_> {
        Programs {
            sources: self.repository.root.join("tests/workloads"),
            folder: &self.folder,
        }
    }

    /// `profiler record` with these arguments, ended when it takes so much longer than `recording`.
    /// Compiled tables are kept in `target/bench/tables`.
    pub(crate) fn step(&self, recording: Duration) -> anyhow::Result<Step> {
        let step = measure::step(recording + SLACK, &self.path.to_string_lossy())?;
        Ok(step
            .args(["record", "--cost"])
            .args([self.file("cost.json")])
            .env("PROFILER_CACHE_DIR", self.file("tables"))
            .env("NO_COLOR", "1"))
    }

    /// Runs a step made by [`Product::step`] and reads what it cost.
    pub(crate) fn run(&self, step: Step) -> anyhow::Result<(Used, Cost)> {
        let log = self.file("profiler.log");
        let used = measure::run(step, &log)?;
        ensure!(
            used.status.success(),
            "profiler: {}\n{}",
            used.status,
            tail(&log)
        );
        let path = self.file("cost.json");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Ok((used, serde_json::from_str(&text).context("read the cost")?))
    }
}

/// The end of a log, for an error message.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(10);
    lines.get(first..).unwrap_or_default().join("\n")
}
