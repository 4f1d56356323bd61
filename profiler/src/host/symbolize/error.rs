//! Why the reading of a file for names ended early.

use std::io;

use crate::model::Reason;

/// Why a file, or a part of it, gave no names.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The operating system said no.
    #[error("cannot read the file")]
    Io {
        /// What it said.
        #[from]
        source: io::Error,
    },
    /// Not a regular file: a pipe or a device would block or never end.
    #[error("not a regular file")]
    NotRegular,
    /// The bytes are not what the format asks for.
    #[error("malformed: {what}")]
    Malformed {
        /// The part that does not fit.
        what: &'static str,
    },
    /// A bound of time or memory was reached.
    #[error("bound reached: {what}")]
    Bounded {
        /// Which one.
        what: &'static str,
    },
}

impl ReadError {
    /// The reason that a frame without a name carries.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Io { .. } | Self::NotRegular => Reason::Unreadable,
            Self::Malformed { .. } => Reason::Malformed,
            Self::Bounded { .. } => Reason::Bounded,
        }
    }
}
