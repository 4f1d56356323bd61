//! Runs a command line and picks the exit code.

use std::{error::Error, io, process::ExitCode};

use clap::CommandFactory as _;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use super::{
    args::{Args, Command},
    convert, daemon, diff, doctor, output, query, record, top,
};
#[cfg(feature = "service")]
use super::{check, serve, up};
use crate::{config::ConfigError, host::run::ProbeError, render::FormatError};

/// A check failed, or anything else went wrong.
const FAILED: u8 = 1;
/// The command line cannot be understood.
const WRONG_USAGE: u8 = 2;
/// A privilege or a kernel feature is missing.
const NOT_ALLOWED: u8 = 3;
/// The service cannot be reached.
const UNREACHABLE: u8 = 4;

/// Runs a parsed command line. Prints the error, with everything that led to it, once.
pub fn run(args: &Args) -> ExitCode {
    start_log(args);
    match run_command(&args.command) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprint(&format!("profiler: {error:#}"));
            ExitCode::from(code_of(&error))
        }
    }
}

/// Runs one subcommand.
fn run_command(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Record(args) => record::run(args),
        #[cfg(feature = "service")]
        Command::Up(args) => up::run(args),
        Command::Top(args) => top::run(args),
        Command::Daemon(args) => daemon::run(args),
        Command::Query(args) => query::run(args),
        #[cfg(feature = "service")]
        Command::Check(args) => check::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Convert(args) => convert::run(args),
        #[cfg(feature = "service")]
        Command::Serve(args) => serve::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Args::command(), "profiler", &mut io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => {
            clap_mangen::Man::new(Args::command()).render(&mut io::stdout())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Sends the log to standard error: warnings, or what `-v` or `RUST_LOG` ask for. People read it
/// without times; programs get JSON with them.
fn start_log(args: &Args) {
    let level = match args.verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .from_env_lossy();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    #[cfg(feature = "service")]
    let is_json = matches!(&args.command, Command::Serve(serve) if serve.log_json);
    #[cfg(not(feature = "service"))]
    let is_json = false;
    if is_json {
        log.json().init();
    } else {
        log.without_time().init();
    }
}

/// Exit code of an error.
fn code_of(error: &anyhow::Error) -> u8 {
    let caused_by = |is: fn(&(dyn Error + 'static)) -> bool| error.chain().any(is);
    if caused_by(<dyn Error>::is::<ProbeError>) {
        NOT_ALLOWED
    } else if caused_by(<dyn Error>::is::<FormatError>)
        || caused_by(<dyn Error>::is::<ConfigError>)
        || caused_by(<dyn Error>::is::<query::UsageError>)
        || is_wrong_file(error)
    {
        WRONG_USAGE
    } else if caused_by(<dyn Error>::is::<query::UnreachableError>) {
        UNREACHABLE
    } else {
        FAILED
    }
}

/// Whether a budget or rules cannot be used.
#[cfg(feature = "service")]
fn is_wrong_file(error: &anyhow::Error) -> bool {
    use crate::service::run::{BudgetError, RulesError};
    let is_one =
        |cause: &(dyn Error + 'static)| cause.is::<BudgetError>() || cause.is::<RulesError>();
    error.chain().any(is_one)
}

/// Without the query service there is neither.
#[cfg(not(feature = "service"))]
fn is_wrong_file(_error: &anyhow::Error) -> bool {
    false
}

/// Whether the reader of our output went away, as `head` does: no failure of ours.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// One line for people.
#[expect(
    clippy::print_stderr,
    reason = "the command line's one way to speak to people"
)]
pub(super) fn eprint(line: &str) {
    eprintln!("{line}");
}

/// One text for programs, to standard output.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    Ok(output::write(std::path::Path::new("-"), text.as_bytes())?)
}
