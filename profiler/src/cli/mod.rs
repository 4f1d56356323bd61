//! The command line: arguments to configuration to run; terminal output.
//!
//! Job: parse, run, say what happened, pick the exit code. Human output goes to standard error,
//! data to standard output.

mod args;
mod convert;
mod cost;
mod diff;
mod doctor;
mod exit;
mod input;
mod output;
mod record;
mod signals;

pub use self::{args::Args, exit::run};
