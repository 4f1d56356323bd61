//! Why alerts cannot be kept or told.

use std::{io, path::PathBuf};

/// Why alerts cannot be kept or told.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// The file of alerts cannot be used.
    #[error("cannot use {}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: rusqlite::Error,
    },
    /// A file that a receiver needs cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The address of a receiver cannot be used.
    #[error("`{url}` is no address of a receiver")]
    Address {
        /// The address.
        url: String,
    },
    /// A certificate cannot be used.
    #[error("{} holds no usable certificate", .path.display())]
    Certificate {
        /// Which file.
        path: PathBuf,
    },
    /// The receiver cannot be reached.
    #[error("cannot reach {host}")]
    Connect {
        /// Where it should be.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// The receiver does not speak as it should.
    #[error("{host} does not speak HTTP")]
    Http {
        /// Where it is.
        host: String,
        /// What went wrong.
        source: hyper::Error,
    },
    /// The receiver did not take the message.
    #[error("{host} answers {status}: {body}")]
    Refused {
        /// Where it is.
        host: String,
        /// Its status.
        status: u16,
        /// The beginning of what it said.
        body: String,
    },
    /// The receiver took too long.
    #[error("{host} does not answer")]
    Late {
        /// Where it is.
        host: String,
    },
    /// More silences than anyone needs, or one that is too long.
    #[error("{what}")]
    Bound {
        /// What is too much.
        what: &'static str,
    },
}

impl AlertError {
    /// Whether the same message may be taken later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Http { .. } | Self::Late { .. } => true,
            Self::Refused { status, .. } => *status == 429 || 500 <= *status,
            Self::File { .. }
            | Self::Read { .. }
            | Self::Address { .. }
            | Self::Certificate { .. }
            | Self::Bound { .. } => false,
        }
    }
}
