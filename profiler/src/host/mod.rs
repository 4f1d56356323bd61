//! The daemon: from interrupts on every CPU to named, counted stacks.
//!
//! Stages in the order the data travels. No stage imports its neighbour: what travels on an arrow
//! is a type of `model`, and `run` connects them.

pub mod aggregate;
mod command;
mod naming;
pub mod object;
pub mod probe;
pub mod process;
pub mod ring;
pub mod run;
mod shutdown;
pub mod symbolize;
mod table_loader;
pub mod unwind;

pub use self::shutdown::Shutdown;
