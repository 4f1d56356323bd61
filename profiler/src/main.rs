//! Parse, run, exit code. Nothing else.

use std::process::ExitCode;

use clap::Parser as _;
use profiler::cli::{Args, run};

fn main() -> ExitCode {
    run(&Args::parse())
}
