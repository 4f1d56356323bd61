//! `query syscalls|tcp|heap|leaks`: tables of what was counted or sampled besides CPU time.
//!
//! Job: one question each, its answer as a table for people or as JSON. Read in this order: what all
//! have in common, then one file for each.

mod args;
mod cells;
mod heap;
mod leaks;
mod syscalls;
mod tcp;

pub(super) use self::{
    args::{HeapArgs, LeaksArgs, TableArgs},
    heap::run as heap,
    leaks::run as leaks,
    syscalls::run as syscalls,
    tcp::run as tcp,
};
