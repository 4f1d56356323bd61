//! Why tokens or certificates cannot be used.

use std::{io, path::PathBuf};

use rustls::pki_types::pem;

/// Why tokens or certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of the file of tokens is not `ROLE SHA256 [NAME]`.
    #[error("{} line {line}: expected `read|write SHA256 [NAME]`", .path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// The hash of a token in the configuration is not 64 hexadecimal digits.
    #[error("access.tokens {index}: sha256 is not 64 hexadecimal digits")]
    Hash {
        /// Which token, from 0.
        index: usize,
    },
    /// A file does not hold what it should.
    #[error("{} holds no usable PEM section", .path.display())]
    Pem {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// A certificate or key cannot be used.
    #[error("the certificates cannot be used")]
    Tls(#[from] rustls::Error),
    /// The authorities of clients cannot be used.
    #[error("{} holds no usable authority", .path.display())]
    Authority {
        /// Which file.
        path: PathBuf,
    },
}
