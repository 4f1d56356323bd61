//! File offset to function, file, line and inlines.
//!
//! Job: find the names of frames, off the sampling path.
//! In: an object file with offsets in it, kernel addresses, or addresses of code made at run time.
//! Out: one [`Naming`] for each, in the same order: names, or the reason why there are none.
//!
//! Names come from symbol tables, then from debug information (lines and inlined functions), in
//! the file itself, in `.gnu_debugdata` or in a separate debug file. Naming never fails, never
//! panics on what it reads, and stays within the memory and the time of [`Options`]: the files
//! belong to other people. An address that no symbol covers has no name; none is made up.
//!
//! [`Naming`]: crate::model::Naming

// Tests compute with the numbers of programs they build.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

mod limits;

mod error;

mod budget;
mod bytes;
mod elf;
mod text_lines;

mod debug_data;
mod debug_file;
mod demangle;
mod dwarf;
mod symbols;

mod object_names;

mod bpf_program;
mod kernel;
mod perf_map;
mod symbolizer;
mod system_call;

#[cfg(test)]
mod tests;

pub use self::{
    perf_map::PerfMap,
    symbolizer::{Contents, ObjectSource, Options, Symbolizer},
    system_call::{errno_name, system_call_name},
};
