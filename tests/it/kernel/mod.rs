//! The real product, the real kernel, programs with known answers. As root; one test at a time.
//!
//! `cargo test -p profiler-tests kernel::` runs them with the `profiler` built beside them, or with the
//! one that `PROFILER_BIN` names. Read in this order:

mod bpf_programs;
mod check;

mod split;
mod unwinding;

mod compiled_at_run_time;
mod process;
mod start_time;

mod command;
mod filter;
mod hostile;
mod output;
mod pipeline;

mod mixed_load;

mod alert;
mod alloc;
mod burst;
mod daemon;
mod delivery;
mod governor;
mod leftovers;
mod off_cpu;
mod rows;
mod sick;
mod syscall;
mod tables;
mod tcp;
mod up;
mod watch;
mod zoo;
