//! `cargo xtask test`: every check and every test there is, and one closing line.

mod binary;
mod libtest;
mod tally;

use std::{env, process::ExitCode};

use anyhow::ensure;

use crate::{repository::Repository, setup, tidy, vm, web};

use binary::Kind;
pub(crate) use tally::Tally;

/// Runs everything and prints `N passed, N failed, N skipped` alone on the last line.
pub(crate) fn run(repository: &Repository, filter: Option<&str>) -> ExitCode {
    let mut tally = Tally::default();
    match filter {
        Some(filter) => run_tests(repository, filter, &mut tally),
        None => run_all(repository, &mut tally),
    }
    if requires_privileged() {
        tally.fail_skipped_privileged();
    }
    println!("== result");
    for note in tally.notes() {
        println!("{note}");
    }
    println!("{tally}");
    if tally.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Whether a privileged test that is skipped fails the run.
fn requires_privileged() -> bool {
    let is_set = |name| env::var(name).is_ok_and(|value| value == "true" || value == "1");
    is_set("CI") || is_set("PROFILER_REQUIRE_PRIVILEGED")
}

/// The whole of it. A check that says no does not keep the later ones from being run.
fn run_all(repository: &Repository, tally: &mut Tally) {
    gate(tally, "setup", || setup::for_tests(repository));
    gate(tally, "fmt", || {
        repository.cargo(["fmt", "--all", "--check"]).run()
    });
    gate(tally, "tidy", || {
        let verdict = tidy::run(repository)?;
        ensure!(verdict == ExitCode::SUCCESS, "see the findings above");
        Ok(())
    });
    gate(tally, "clippy", || {
        repository
            .cargo(["clippy", "--all-targets"])
            .args(["--", "--deny", "warnings"])
            .run()
    });
    run_tests(repository, "", tally);
    gate(tally, "web page", || web::test(repository));
    gate(tally, "doc tests", || {
        repository.cargo(["test", "--doc", "--quiet"]).run()
    });
    println!("== vm");
    match vm::matrix(repository, &[]) {
        Ok(kernels) => tally.add(kernels),
        Err(error) => tally.fail(format!("vm: {error:#}")),
    }
}

/// Runs one check and counts it.
fn gate(tally: &mut Tally, name: &str, check: impl FnOnce() -> anyhow::Result<()>) -> bool {
    println!("== {name}");
    match check() {
        Ok(()) => {
            tally.pass();
            true
        }
        Err(error) => {
            tally.fail(format!("{name}: {error:#}"));
            false
        }
    }
}

/// Builds the product and the tests, and runs the tests whose path contains the filter: first the
/// ordinary ones, then the privileged ones one after the other, because they share one kernel.
fn run_tests(repository: &Repository, filter: &str, tally: &mut Tally) {
    if !gate(tally, "build", || repository.cargo(["build"]).run()) {
        return;
    }
    println!("== build tests");
    let suites = match binary::build(repository, filter) {
        Ok(suites) => suites,
        Err(error) => return tally.fail(format!("build tests: {error:#}")),
    };
    for kind in [Kind::Ordinary, Kind::Privileged] {
        for suite in &suites {
            suite.run(repository, kind, tally);
        }
    }
}
