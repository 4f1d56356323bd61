//! Why something could not be spooled or sent.

use std::{io, path::PathBuf};

/// Why something could not be spooled or sent.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// A file of the spool cannot be used.
    #[error("spool file {}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk has no room, even though all older batches were dropped.
    #[error("the disk has no room for the spool")]
    DiskFull,
    /// One batch is larger than the spool may be.
    #[error("a batch of {size_bytes} bytes is larger than the spool may be")]
    TooLarge {
        /// Its size.
        size_bytes: u64,
    },
    /// A record of the spool is not what was written.
    #[error("batch {sequence} in the spool is damaged")]
    Damaged {
        /// Which batch.
        sequence: u64,
    },
    /// The address of the service cannot be used.
    #[error("`{server}` is no address of a service")]
    Address {
        /// As configured.
        server: String,
        /// What is wrong with it.
        source: tonic::transport::Error,
    },
    /// The token has characters that no header may have.
    #[error("the token may have visible ASCII characters only")]
    Token,
    /// The service cannot be reached.
    #[error("connect to {server}")]
    Connect {
        /// Which service.
        server: String,
        /// What the network said.
        source: tonic::transport::Error,
    },
    /// The service ended the stream, or refused it.
    #[error("the service says {code}: {message}")]
    Refused {
        /// Code of gRPC.
        code: tonic::Code,
        /// For people.
        message: String,
    },
    /// The service ended the stream without a reason, or said nothing for too long.
    #[error("the service {what}")]
    Silent {
        /// What it did.
        what: &'static str,
    },
    /// A thread could not be started.
    #[error("start the thread that ships")]
    Thread(#[source] io::Error),
}

impl From<tonic::Status> for ShipError {
    fn from(status: tonic::Status) -> Self {
        Self::Refused {
            code: status.code(),
            message: status.message().to_owned(),
        }
    }
}
