//! Runs the built product on programs with known answers.
//!
//! Job: build the programs of `tests/workloads`, start them, run `profiler` on them, read what it wrote.
//! In: names of workloads, arguments. Out: an [`Outcome`] with the stacks and the quality.

mod chance;
mod collapsed;
mod daemon;
pub mod fleet;
mod outcome;
mod patience;
mod recipe;
mod record;
mod running;
mod server;
mod small_disk;
mod turn;
mod workload;

pub use self::{
    chance::tolerance,
    collapsed::{Collapsed, FoldedStack, TRUNCATED, plain_name},
    daemon::{Daemon, SpooledWindow, free_address, http_get},
    outcome::{Ended, Outcome},
    patience::until,
    record::{Record, Recording, product},
    running::{Running, signal, works_for},
    server::Server,
    small_disk::SmallDisk,
    turn::{Turn, say, skip, tool, turn},
    workload::{build_dir, source, workload},
};
