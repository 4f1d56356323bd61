//! Why a request or one of its profiles was refused.

use super::limits::{ENTRIES_MAX, MESSAGE_SIZE_BYTES_MAX, STACK_DEPTH_MAX};

/// Why a request was refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// It is larger than any client sends.
    #[error("more than {MESSAGE_SIZE_BYTES_MAX} bytes")]
    TooLarge,
    /// Its tables are longer than any client's.
    #[error("more than {ENTRIES_MAX} entries in all tables")]
    TooMany,
    /// It is not protobuf from here on.
    #[error("not a protobuf message at byte {offset} of a part")]
    Framing {
        /// Bytes from the start of the innermost message.
        offset: usize,
    },
    /// It is not what the definition says.
    #[error("not an OTLP profiles request")]
    Message(#[source] prost::DecodeError),
}

/// Why one profile was left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProfileError {
    /// It does not say what it counts.
    #[error("a profile has no sample type")]
    NoSampleType,
    /// An index points past a table.
    #[error("index {index} points past the {table}")]
    Dangling {
        /// Which table.
        table: &'static str,
        /// The index.
        index: i32,
    },
    /// A value is below zero.
    #[error("a sample has a negative value")]
    Negative,
    /// A stack is deeper than any real one.
    #[error("a stack has more than {STACK_DEPTH_MAX} frames")]
    Depth,
}
