//! What was typed. No I/O here, and nothing that depends on the machine.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

#[cfg(feature = "service")]
use super::{check::CheckArgs, serve::ServeArgs, up::UpArgs};
use super::{
    convert::ConvertArgs, daemon::DaemonArgs, diff::DiffArgs, doctor::DoctorArgs, query::QueryArgs,
    record::RecordArgs, top::TopArgs,
};

/// An eBPF host profiler: complete stacks of every process, no frame pointers needed.
#[derive(Debug, Parser)]
#[command(
    name = "profiler",
    version,
    propagate_version = true,
    after_help = "\
Examples:
  profiler record -d 10 -o flamegraph.svg      the whole host for ten seconds
  profiler record -p 1234 -o out.pb.gz         one process until Ctrl-C, for go tool pprof
  profiler record -o out.svg -- make -j4       a command and its children
  profiler diff before.pb.gz after.pb.gz -o diff.svg
  profiler check --budget budget.toml --input out.pb.gz
                                               exit 1 when a limit is broken: for pipelines
  profiler serve --data ./data                 take, store and answer what daemons deliver
  profiler daemon --server http://HOST:7317    this host for good, to a query service
  profiler doctor                              what this kernel and these privileges allow"
)]
pub struct Args {
    /// Say more about what happens; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record a profile and write it to files
    Record(RecordArgs),
    /// Profile this host all the time and answer questions about it
    #[cfg(feature = "service")]
    Up(UpArgs),
    /// Watch this host live, by process and function
    Top(TopArgs),
    /// Sample this host for good and ship every window to a query service
    Daemon(DaemonArgs),
    /// Ask the query service
    Query(QueryArgs),
    /// Check a budget: exit 1 when a limit is broken
    #[cfg(feature = "service")]
    Check(CheckArgs),
    /// Draw what changed between two profiles
    Diff(DiffArgs),
    /// Convert a profile from one format to another
    Convert(ConvertArgs),
    /// Run the query service
    #[cfg(feature = "service")]
    Serve(ServeArgs),
    /// Say what this kernel and these privileges allow, what is lost, and what to do
    Doctor(DoctorArgs),
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page, for `man -l -`
    Man,
}
