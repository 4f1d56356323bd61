//! `cargo xtask fuzz`: each fuzz target for a while, from its committed corpus on.
//!
//! The targets lie in `tests/fuzz`, laid out as cargo-fuzz does, so that tool works on them too.
//! Here they are built with the stable compiler: `RUSTC_BOOTSTRAP` opens the one flag that is not
//! stable, the address sanitizer's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, ensure};

use crate::{command::Step, repository::Repository, setup};

/// The one target that is fuzzed. Naming it keeps the flags away from build scripts.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Flags that make a program tell the fuzzer which edges it took and what it compared, and stop
/// at the first bad access or overflow.
const FLAGS: [&str; 9] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Ccodegen-units=1",
    "-Zsanitizer=address",
];

/// Longest one input may take in seconds: a hostile file must not stall the profiler for more than
/// a second, and the sanitizer makes everything some five times slower.
const INPUT_SECONDS_MAX: u32 = 5;

/// Largest memory of a target in MiB. The product's own budget is 200; the sanitizer needs room.
const MEMORY_MIB_MAX: u32 = 1024;

/// Time for start-up and shutdown of a target beyond its share of fuzzing.
const SLACK: Duration = Duration::from_secs(120);

/// Builds the targets and runs each for so many seconds.
pub(crate) fn run(
    repository: &Repository,
    only: Option<&str>,
    seconds: u32,
) -> anyhow::Result<ExitCode> {
    setup::for_fuzz()?;
    let folder = repository.root.join("tests/fuzz");
    let targets = targets(&folder, only)?;
    let build = repository.target.join("fuzz");
    repository
        .cargo(["build", "--release", "--target", TARGET, "--manifest-path"])
        .args([folder.join("Cargo.toml")])
        .env("CARGO_TARGET_DIR", &build)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", FLAGS.join(" "))
        .run()
        .context("build the fuzz targets")?;
    let mut found = 0;
    for target in &targets {
        let campaign = Campaign::new(&folder, &build, target)?;
        if !campaign.run(seconds)? {
            found += 1;
        }
    }
    println!("fuzz: {} targets, {found} with findings", targets.len());
    Ok(if found == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Names of the fuzz targets, or the one asked for.
fn targets(folder: &Path, only: Option<&str>) -> anyhow::Result<Vec<String>> {
    let sources = folder.join("fuzz_targets");
    let mut targets = Vec::new();
    for entry in fs::read_dir(&sources).with_context(|| format!("read {}", sources.display()))? {
        let path = entry.context("read a folder")?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if let Some(name) = stem.filter(|_| path.extension().is_some_and(|kind| kind == "rs")) {
            targets.push(name.to_owned());
        }
    }
    targets.retain(|name| only.is_none_or(|only| only == name));
    targets.sort();
    let wanted = only.unwrap_or("any");
    ensure!(!targets.is_empty(), "no fuzz target: {wanted}");
    Ok(targets)
}

/// One target and its folders.
struct Campaign<'a> {
    target: &'a str,
    program: PathBuf,
    /// Inputs under version control; only read.
    committed: PathBuf,
    /// Inputs found on this machine; grows.
    found: PathBuf,
    /// Inputs that broke the target.
    crashes: PathBuf,
    log: PathBuf,
}

impl<'a> Campaign<'a> {
    /// Names the folders of a target and makes those that are missing.
    fn new(folder: &Path, build: &Path, target: &'a str) -> anyhow::Result<Self> {
        let campaign = Self {
            target,
            program: build.join(TARGET).join("release").join(target),
            committed: folder.join("corpus").join(target),
            found: build.join("corpus").join(target),
            crashes: folder.join("artifacts").join(target),
            log: build.join(format!("{target}.log")),
        };
        ensure!(
            campaign.program.is_file(),
            "{target} has a source and no [[bin]] in tests/fuzz/Cargo.toml"
        );
        for path in [&campaign.committed, &campaign.found, &campaign.crashes] {
            fs::create_dir_all(path).with_context(|| format!("create {}", path.display()))?;
        }
        Ok(campaign)
    }

    /// Runs the target; false when it broke, with what it said shown.
    fn run(&self, seconds: u32) -> anyhow::Result<bool> {
        println!("fuzz: {} for {seconds} s", self.target);
        let limit = Duration::from_secs(seconds.into()) + SLACK;
        let status = Step::bounded(limit, &self.program.to_string_lossy())
            .args([
                format!("-max_total_time={seconds}"),
                format!("-timeout={INPUT_SECONDS_MAX}"),
                format!("-rss_limit_mb={MEMORY_MIB_MAX}"),
                format!("-artifact_prefix={}/", self.crashes.display()),
                "-print_final_stats=1".to_owned(),
            ])
            .args([&self.found, &self.committed])
            // The tables that C code of a dependency shares with itself are no finding.
            .env("ASAN_OPTIONS", "detect_odr_violation=0")
            .into_file(&self.log)?;
        let log = fs::read(&self.log).with_context(|| format!("read {}", self.log.display()))?;
        let log = String::from_utf8_lossy(&log);
        if status.success() {
            println!("fuzz: {}: {}", self.target, statistics(&log));
            return Ok(true);
        }
        println!(
            "fuzz: {}: {status}; inputs in {}",
            self.target,
            self.crashes.display()
        );
        println!("{}", tail(&log));
        Ok(false)
    }
}

/// The fuzzer's closing statistics, in one line.
fn statistics(log: &str) -> String {
    let stats: Vec<String> = log
        .lines()
        .filter_map(|line| line.strip_prefix("stat::"))
        .map(|stat| stat.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    stats.join(", ")
}

/// The end of a log, where a fuzzer says what broke.
fn tail(log: &str) -> String {
    const LINES: usize = 60;
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_fit_one_line() {
        let log = "#12 DONE\nstat::number_of_executed_units: 12\nstat::peak_rss_mb:     44\n";
        assert_eq!(
            statistics(log),
            "number_of_executed_units: 12, peak_rss_mb: 44"
        );
    }

    #[test]
    fn the_tail_of_a_short_log_is_all_of_it() {
        assert_eq!(tail("a\nb"), "a\nb");
        assert!(tail(&"x\n".repeat(100)).lines().count() == 60);
    }
}
