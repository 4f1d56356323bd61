//! The command line: arguments to configuration to run; terminal output.

pub mod convert;
pub mod diff;
pub mod input;
pub mod output;
