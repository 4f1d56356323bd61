//! Why an object file could not be read.

use std::io;

/// Why an object file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The file does not begin as an ELF file does.
    #[error("not an ELF file")]
    NotElf,
    /// 32-bit or big-endian.
    #[error("elf class {class}, byte order {order}: only 64-bit little-endian is read")]
    Class {
        /// `EI_CLASS` of the header.
        class: u8,
        /// `EI_DATA` of the header.
        order: u8,
    },
    /// Code for another processor.
    #[error("elf machine {machine}: only x86-64 (62) is read")]
    Machine {
        /// `e_machine` of the header.
        machine: u16,
    },
    /// Neither a program nor a shared object: a relocatable file or a core dump.
    #[error("elf type {kind}: only programs (2) and shared objects (3) are read")]
    Type {
        /// `e_type` of the header.
        kind: u16,
    },
    /// A part of the file contradicts itself or lies outside of the file.
    #[error("malformed {part}")]
    Malformed {
        /// What does not parse.
        part: &'static str,
        /// What the reader says about it.
        source: object::read::Error,
    },
    /// More items than this product reads.
    #[error("{found} {part}: at most {max} are read")]
    TooMany {
        /// What there is too much of.
        part: &'static str,
        /// How many the file claims.
        found: usize,
        /// How many are accepted.
        max: usize,
    },
    /// A section that is larger than this product reads.
    #[error("a section of {size_bytes} bytes: at most {max_bytes} are read")]
    SectionSize {
        /// Size that the file claims.
        size_bytes: u64,
        /// Size that is accepted.
        max_bytes: u64,
    },
    /// A section whose bytes lie outside of the file.
    #[error("a section at {offset:#x} of {size_bytes} bytes lies outside of the file")]
    SectionRange {
        /// Offset in the file.
        offset: u64,
        /// Size that the file claims.
        size_bytes: u64,
    },
    /// A compressed section that does not unpack to what its header says.
    #[error("a section compressed by method {method} does not unpack")]
    Compression {
        /// `ch_type` of the section's compression header.
        method: u32,
        /// What the decoder says; invalid data if only the size is wrong.
        source: io::Error,
    },
}
