//! `cargo xtask vm`: the product on other kernels, in QEMU.
//!
//! A static build of it, two workloads with a known answer and busybox make up an initramfs; each
//! kernel boots it, the guest records, and what it hands back is judged here.

mod apt_root;
mod cpio;
mod guest;
mod image;
mod kernel;
mod report;
mod verdict;

use std::{fs, process::ExitCode};

use anyhow::Context as _;

use crate::{repository::Repository, setup, test::Tally};
use kernel::{Series, Shelf};
use verdict::Promise;

/// The matrix: the oldest kernel that is promised anything, those that distributions keep for
/// years, and the newest there is.
const MATRIX: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "7"];

/// Runs the matrix and prints how it went.
pub(crate) fn run(repository: &Repository, kernels: &[String]) -> anyhow::Result<ExitCode> {
    setup::for_vm()?;
    let tally = matrix(repository, kernels)?;
    println!("{tally}");
    Ok(if tally.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Runs the product on each of the kernels, or of the whole matrix; counts one check for each.
pub(crate) fn matrix(repository: &Repository, kernels: &[String]) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    if let Some(why) = setup::vm_obstacle() {
        tally.skip_privileged(format!("vm: {why}"));
        return Ok(tally);
    }
    let all = MATRIX.map(str::to_owned);
    let kernels = if kernels.is_empty() { &all } else { kernels };
    let folder = repository.target.join("vm");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let image = image::build(repository, &folder).context("make the guest's image")?;
    let shelf = Shelf::open()?;
    for series in kernels {
        let series: Series = series.parse()?;
        match shelf.get(&series) {
            Ok(kernel) => {
                let log = folder.join(format!("kernel-{series}"));
                let outcome = guest::boot(&kernel, &image, &log);
                count(&mut tally, &series, outcome);
            }
            Err(error) => tally.skip(format!("kernel {series}: cannot be fetched: {error:#}")),
        }
    }
    Ok(tally)
}

/// Judges one guest and counts it.
fn count(tally: &mut Tally, series: &Series, outcome: anyhow::Result<report::Report>) {
    let report = match outcome {
        Ok(report) => report,
        Err(error) => return tally.fail(format!("kernel {series}: {error:#}")),
    };
    let verdict = verdict::judge(&report, Promise::of(&report));
    for line in &verdict.figures {
        println!("kernel {series} ({}): {line}", report.release);
    }
    if verdict.complaints.is_empty() {
        tally.pass();
    } else {
        let complaints = verdict.complaints.join("; ");
        tally.fail(format!(
            "kernel {series} ({}): {complaints}",
            report.release
        ));
    }
}
