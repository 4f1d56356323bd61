//! Why the list of pods could not be read.

use std::{io, path::PathBuf};

/// Why the list of pods could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KubeletError {
    /// The address is none.
    #[error("kubelet.url {url}: expected http://HOST:PORT/PATH or https://HOST:PORT/PATH")]
    Address {
        /// What was configured.
        url: String,
    },
    /// A file of the configuration cannot be used.
    #[error("cannot use {}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("set up TLS with the kubelet")]
    Tls(#[source] rustls::Error),
    /// The kubelet cannot be reached, or broke off.
    #[error("ask the kubelet at {url}")]
    Connection {
        /// Where.
        url: String,
        /// What the system said.
        source: io::Error,
    },
    /// It said no.
    #[error(
        "the kubelet at {url} answers {status}; the token needs `get` on nodes/proxy or nodes/pods"
    )]
    Refused {
        /// Where.
        url: String,
        /// First line of the answer.
        status: String,
    },
    /// The answer is larger than is read.
    #[error("the kubelet's list has more than {size_bytes_max} bytes")]
    TooLarge {
        /// Most bytes.
        size_bytes_max: u64,
    },
    /// The answer is no list of pods.
    #[error("the kubelet's list cannot be understood")]
    List(#[source] serde_json::Error),
}
