//! Where an object file allocates and frees memory.
//!
//! Job: find the functions of an allocator in an object file, and in each the instruction at which a
//! probe costs least. In: an object file. Out: [`Allocator`], or nothing for nearly all files.
//! **Invariant:** knows names and code only, never where a file comes from; no input panics.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod functions;
mod instruction;
mod limits;
mod names;
mod symbols;

pub use self::functions::{Allocator, ProbePoint, find_allocator};
