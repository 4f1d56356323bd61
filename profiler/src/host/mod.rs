//! The daemon: from interrupts on every CPU to named, counted stacks.
//!
//! Stages in the order the data travels. No stage imports its neighbour: what travels on an arrow
//! is a type of `model`, and `run` connects them.

pub mod aggregate;
pub mod object;
pub mod probe;
pub mod process;
pub mod ring;
pub mod symbolize;
pub mod run;
pub mod unwind;
