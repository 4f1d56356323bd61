//! Why a pprof profile could not be read or written.

use std::{fmt, io};

use super::limits::{ENTRIES_MAX, MESSAGE_SIZE_BYTES_MAX, STACK_DEPTH_MAX, VALUE_TYPES_MAX};

/// A table that something points into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reference {
    /// The string table.
    String,
    /// The mappings.
    Mapping,
    /// The locations.
    Location,
    /// The functions.
    Function,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string",
            Self::Mapping => "mapping",
            Self::Location => "location",
            Self::Function => "function",
        })
    }
}

/// Why a pprof profile could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The gzip wrapper is damaged.
    #[error("damaged gzip data")]
    Gzip(#[source] io::Error),
    /// The message is larger than any real one.
    #[error("more than {MESSAGE_SIZE_BYTES_MAX} bytes after decompression")]
    TooLarge,
    /// The bytes are not protobuf from here on.
    #[error("not a protobuf message at byte {offset}")]
    Framing {
        /// Bytes from the start of the decompressed message.
        offset: usize,
    },
    /// One table is longer than any real one.
    #[error("field {field} has more than {ENTRIES_MAX} entries")]
    Entries {
        /// Number of the field in `perftools.profiles.Profile`.
        field: u64,
    },
    /// A part is not what the definition says.
    #[error("not a pprof message")]
    Decode(#[source] prost::DecodeError),
    /// There is nothing counted, or too much.
    #[error("{found} value types, expected 1 to {VALUE_TYPES_MAX}")]
    ValueTypes {
        /// How many.
        found: usize,
    },
    /// Something points at an entry that does not exist.
    #[error("{in_table} {index} names {reference} {id}, which does not exist")]
    Dangling {
        /// What the pointer is in.
        in_table: &'static str,
        /// Which one, from 0.
        index: usize,
        /// What it points at.
        reference: Reference,
        /// The id that nothing has.
        id: i128,
    },
    /// A sample has another number of values than there are value types.
    #[error("sample {index} has {found} values, expected {expected}")]
    Values {
        /// Which sample, from 0.
        index: usize,
        /// How many it has.
        found: usize,
        /// How many value types there are.
        expected: usize,
    },
    /// A difference of two profiles, not a profile.
    #[error("sample {index} has the negative value {value}; this is a difference, not a profile")]
    Negative {
        /// Which sample, from 0.
        index: usize,
        /// The value.
        value: i64,
    },
    /// A stack is deeper than any real one.
    #[error("sample {index} has more than {STACK_DEPTH_MAX} frames")]
    Depth {
        /// Which sample, from 0.
        index: usize,
    },
}

/// Why a pprof profile could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The compressor gave up.
    #[error("cannot compress the profile")]
    Gzip(#[source] io::Error),
}
