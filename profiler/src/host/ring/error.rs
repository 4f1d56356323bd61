//! Why a record could not be decoded.

/// Why a record could not be decoded. The record is dropped and counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// The record ends too early.
    #[error("record of {found_bytes} bytes ends inside its fields")]
    Short {
        /// Length of the record.
        found_bytes: usize,
    },
    /// The header promises more frames than the record holds.
    #[error("header promises {promised} frames")]
    FrameCount {
        /// Frames the header asks for.
        promised: usize,
    },
    /// A code that this daemon does not know.
    #[error("unknown {what} code {code}")]
    UnknownCode {
        /// Which field.
        what: &'static str,
        /// Its value.
        code: u32,
    },
}
