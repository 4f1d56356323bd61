//! Why an upload was refused.

use std::{error::Error as _, io, sync::Arc};

use axum::http::StatusCode;

use super::SenderError;
use crate::{
    render,
    service::store::StoreError,
    wire::{otlp, v1},
};

/// Why an upload was refused.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It is larger than an upload may be.
    #[error("the upload is too large")]
    TooLarge,
    /// It is packed in a way that is not taken.
    #[error("the content encoding is not taken; use gzip or none")]
    Encoding,
    /// It cannot be unpacked.
    #[error("the body is damaged")]
    Gzip(#[source] io::Error),
    /// It cannot be read as a profile.
    #[error("the profile cannot be read")]
    Profile(#[source] render::ReadError),
    /// It cannot be read as OTLP profiles.
    #[error("the request cannot be read")]
    Otlp(#[source] otlp::OtlpError),
    /// It cannot be read as a push of profiles.
    #[error("the push cannot be read")]
    Push(#[source] prost::DecodeError),
    /// It is outside of what is taken.
    #[error("the profile is out of bounds")]
    Bounds(#[source] v1::DecodeError),
    /// A format that is not taken.
    #[error("format `{format}` is not taken; send pprof or folded")]
    Format {
        /// Which one.
        format: String,
    },
    /// The client may not upload.
    #[error("the client is refused")]
    Sender(#[source] SenderError),
    /// Too much was sent lately.
    #[error("too much was sent lately; wait {wait_s} s")]
    TooFast {
        /// Seconds to wait.
        wait_s: u64,
    },
    /// The store has no room.
    #[error("the store is full: {reason}")]
    Full {
        /// What is full.
        reason: String,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] Arc<StoreError>),
    /// The service is being stopped.
    #[error("the service is being stopped")]
    Stopping,
}

/// Seconds after which a store that was full is worth another try.
const FULL_RETRY_S: u64 = 30;

impl UploadError {
    /// Whether sending the same again leads to the same.
    pub(super) fn is_malformed(&self) -> bool {
        match self {
            Self::TooLarge
            | Self::Encoding
            | Self::Gzip(_)
            | Self::Profile(_)
            | Self::Otlp(_)
            | Self::Push(_)
            | Self::Bounds(_)
            | Self::Format { .. } => true,
            Self::Sender(_)
            | Self::TooFast { .. }
            | Self::Full { .. }
            | Self::Store(_)
            | Self::Stopping => false,
        }
    }

    /// Seconds after which to try again, where that helps.
    pub(super) fn wait_s(&self) -> Option<u64> {
        match self {
            Self::TooFast { wait_s } => Some(*wait_s),
            Self::Full { .. } => Some(FULL_RETRY_S),
            Self::TooLarge
            | Self::Encoding
            | Self::Gzip(_)
            | Self::Profile(_)
            | Self::Otlp(_)
            | Self::Push(_)
            | Self::Bounds(_)
            | Self::Format { .. }
            | Self::Sender(_)
            | Self::Store(_)
            | Self::Stopping => None,
        }
    }

    /// What HTTP calls it.
    pub(super) fn http_status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoding | Self::Format { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Gzip(_) | Self::Profile(_) | Self::Otlp(_) | Self::Push(_) | Self::Bounds(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Sender(_) => StatusCode::FORBIDDEN,
            Self::TooFast { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Full { .. } => StatusCode::INSUFFICIENT_STORAGE,
            Self::Store(_) | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The error with everything that led to it.
    pub(super) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}
