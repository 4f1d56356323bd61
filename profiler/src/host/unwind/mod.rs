//! Call frame information to rows the probe can search.
//!
//! Job: turn `.eh_frame` and `.debug_frame` into an [`UnwindTable`], and a table into the words that
//! `profiler_common::unwind_row` describes.
//! In: the bytes of an object file. Out: values; the caller puts them where the probe reads.
//! A rule the probe cannot follow is not an error: its rows say so.
//!
//! | Step | File |
//! |---|---|
//! | which code is described where | `entry.rs`, `cie.rs` |
//! | instructions to a state of four registers | `machine.rs`, `expression.rs`, `row_writer.rs` |
//! | state to rule, rule to number | `state.rs`, `rule_set.rs` |
//! | functions to one sorted table | `compile.rs`, `assemble.rs`, `table.rs` |
//! | signal trampolines that nothing describes | `trampoline.rs` |
//! | table to words, and the search in them | `encode.rs`, `lookup.rs` |
//! | tables kept between runs; the one file here that touches the disk | `cache.rs`, `cache_format.rs` |
// Tests compute what they expect; the code that reads foreign bytes is checked without them.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

mod assemble;
mod cache;
mod cache_format;
mod cie;
mod compile;
mod encode;
mod entry;
mod error;
mod expression;
mod limits;
mod lookup;
mod machine;
mod row_writer;
mod rule_set;
mod state;
mod table;
mod trampoline;

pub use self::{
    cache::{CacheError, TableCache},
    compile::{CallFrames, compile, compile_frames, compile_object},
    encode::TableChunk,
    error::CompileError,
    lookup::lookup,
    table::{CompileCounts, Row, UnwindTable},
};
