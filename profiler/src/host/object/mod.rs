//! ELF: bytes in, facts out.
//!
//! Job: say what an object file is (identity, segments, sections) without believing a word of it.
//! In: anything that reads bytes at an offset, so that a file is never loaded whole.
//! Out: [`Facts`], [`Segments`] and the bytes of single sections, all bounded by `limits.rs`.
//! Only 64-bit little-endian x86-64 objects; everything else is a typed error.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod elf;
mod error;
mod facts;
mod limits;
mod note;
mod reader;
mod section;
mod segment;

pub use self::{
    elf::Object,
    error::ObjectError,
    facts::{DebugLink, Facts, ObjectKind},
    reader::{FileReader, shared_bytes},
    section::Section,
    segment::{LoadSegment, Segments},
};

/// The build id of an open file; `None` when it is no object file or carries none.
pub fn build_id_of(file: &std::fs::File) -> Option<crate::model::BuildId> {
    Object::parse(&shared_bytes(file)).ok()?.build_id()
}
