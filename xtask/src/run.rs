//! `cargo xtask run`: from a fresh clone to a flame graph of this host, and on from there.

use std::process::ExitCode;

use anyhow::{Context as _, ensure};

use crate::{
    command::{Step, can_be_root},
    repository::Repository,
    setup,
};

/// What is run first when nothing else is asked for: a picture at once.
const PICTURE: [&str; 5] = ["record", "-d", "10", "-o", "flamegraph.svg"];

/// Sets up, builds, and runs the profiler as root: with `args`, or for a first picture and then for as
/// long as nobody stops it.
///
/// The picture lands in the folder the command was given in, what is sampled from then on in `target`.
/// The status is the profiler's own.
pub(crate) fn run(repository: &Repository, args: &[String]) -> anyhow::Result<ExitCode> {
    setup::for_build().context("set up")?;
    setup::for_page(repository).context("set up the web page")?;
    repository
        .cargo(["build", "--release", "--package", "profiler"])
        .run()
        .context("build the profiler")?;
    ensure!(
        can_be_root(),
        "profiling a host needs root, and there is no sudo: run this as root"
    );
    let program = repository.target.join("release/profiler");
    let profiler = || Step::as_root(&program.to_string_lossy());
    let status = if args.is_empty() {
        profiler().args(PICTURE).run()?;
        let data = repository.target.join("profiler-data");
        profiler().args(["up", "--data"]).args([data]).status()?
    } else {
        profiler().args(args).status()?
    };
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
