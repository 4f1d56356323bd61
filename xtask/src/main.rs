//! Developer tasks: `cargo xtask <task>`. The only automation there is.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "xtask is a command-line tool"
)]

mod bench;
mod command;
mod fuzz;
mod overhead;
mod repository;
mod run;
mod setup;
mod test;
mod tidy;
mod vm;
mod web;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use repository::Repository;

/// What the command line said.
#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer tasks")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

/// One task each.
#[derive(Subcommand)]
enum Task {
    /// Install whatever is missing to build (and with --tests, to test). Quick when nothing is
    Setup {
        /// Also what the tests use: compilers, perf, browser, QEMU …
        #[arg(long)]
        tests: bool,
    },
    /// Set up, build, profile this host for 10 seconds into flamegraph.svg
    Run {
        /// Arguments for the profiler, in place of `record -d 10 -o flamegraph.svg`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Set up, then every check and every test, the privileged ones and the VM matrix included
    Test {
        /// Only the tests whose path contains this; no other checks, no VM matrix
        filter: Option<String>,
    },
    /// Check what no lint sees: who imports whom, sizes, words, links
    Tidy,
    /// Run a static build of the profiler in QEMU, on each kernel of the matrix
    Vm {
        /// A kernel series, such as 6.12, or 7 for the newest 7.x; repeatable
        #[arg(long = "kernel", value_name = "SERIES")]
        kernels: Vec<String>,
    },
    /// Build the web page, and open every view in a browser
    WebTest,
    /// Measure what the profiler costs, beside perf; needs root, takes some ten minutes
    Bench {
        /// Only these sections
        sections: Vec<bench::Section>,
        /// Put the figures into docs/benchmarks.md
        #[arg(long)]
        write: bool,
    },
    /// Measure how much slower a CPU-bound load is while it is profiled; needs root
    Overhead {
        /// Put the figures into docs/benchmarks.md
        #[arg(long)]
        write: bool,
    },
    /// Run each fuzz target for a while, from its committed corpus on
    Fuzz {
        /// Only this target
        target: Option<String>,
        /// Seconds for each target
        #[arg(long = "for", value_name = "SECS", default_value_t = 60)]
        seconds: u32,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    match perform(args.task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked for.
fn perform(task: Task) -> anyhow::Result<ExitCode> {
    let repository = Repository::find()?;
    match task {
        Task::Setup { tests: false } => {
            setup::for_build()?;
            setup::for_page(&repository)?;
        }
        Task::Setup { tests: true } => setup::for_tests(&repository)?,
        Task::Run { args } => return run::run(&repository, &args),
        Task::Test { filter } => return Ok(test::run(&repository, filter.as_deref())),
        Task::WebTest => {
            setup::for_page(&repository)?;
            repository.cargo(["build", "--package", "profiler"]).run()?;
            web::test(&repository)?;
        }
        Task::Tidy => return tidy::run(&repository),
        Task::Vm { kernels } => return vm::run(&repository, &kernels),
        Task::Bench { sections, write } => bench::run(&repository, &sections, write)?,
        Task::Overhead { write } => overhead::run(&repository, write)?,
        Task::Fuzz { target, seconds } => {
            return fuzz::run(&repository, target.as_deref(), seconds);
        }
    }
    Ok(ExitCode::SUCCESS)
}
