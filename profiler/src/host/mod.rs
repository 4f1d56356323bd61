//! The daemon: from interrupts on every CPU to named, counted stacks.
//!
//! Stages in the order the data travels. No stage imports its neighbour: what travels on an arrow
//! is a type of `model`, and `run` connects them.

pub mod aggregate;
mod allocations;
pub mod allocator;
mod allocator_watch;
mod bursts;
mod command;
mod continuous;
mod coverage;
pub mod daemon;
mod families;
mod governing;
pub mod governor;
pub mod heap;
mod hooks;
mod kernel_counts;
pub mod kubelet;
pub mod labels;
mod metering;
mod metrics;
mod name_cache;
mod naming;
pub mod object;
mod own_use;
pub mod probe;
pub mod process;
pub mod ring;
pub mod run;
mod sampling;
mod scheduler_text;
pub mod ship;
mod shutdown;
mod slots;
pub mod symbolize;
mod systemd;
mod table_loader;
mod table_rows;
pub mod unwind;
mod watch;
mod windows;

pub use self::shutdown::Shutdown;
