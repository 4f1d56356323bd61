//! The command line: arguments to configuration to run; terminal output.
//!
//! Job: parse, run, say what happened, pick the exit code. Human output goes to standard error,
//! data to standard output.

pub mod args;
#[cfg(feature = "service")]
mod backup;
#[cfg(feature = "service")]
pub mod check;
pub mod convert;
mod cost;
pub mod daemon;
pub mod diff;
pub mod doctor;
mod event;
mod exit;
pub mod input;
pub mod output;
pub mod query;
pub mod record;
#[cfg(feature = "service")]
pub mod serve;
mod signals;
pub mod top;
#[cfg(feature = "service")]
pub mod up;

pub use self::{args::Args, exit::run};
