//! The command line: arguments to configuration to run; terminal output.
//!
//! Job: parse, run, say what happened, pick the exit code. Human output goes to standard error,
//! data to standard output.

pub mod args;
pub mod convert;
mod cost;
pub mod diff;
pub mod doctor;
mod exit;
pub mod input;
pub mod output;
pub mod query;
pub mod record;
mod signals;

pub use self::{args::Args, exit::run};
