//! The Connect protocol: one question, one answer, over plain HTTP.
//!
//! Source: <https://connectrpc.com/docs/protocol>, unary calls.

use std::io::Read as _;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use flate2::bufread::MultiGzDecoder;
use prost::Message;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tonic::{Code, Status};

use super::limits::QUESTION_SIZE_BYTES_MAX;

/// How messages are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Codec {
    /// Protobuf.
    Proto,
    /// Protobuf's JSON.
    Json,
}

/// What an error says.
#[derive(Debug, Deserialize, Serialize)]
struct Refusal {
    code: String,
    message: String,
}

impl Codec {
    /// The codec that a request is written in.
    ///
    /// # Errors
    /// The whole answer: another type of content.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Box<Response>> {
        let value = headers.get(header::CONTENT_TYPE);
        let text = value.and_then(|value| value.to_str().ok());
        let essence = text.and_then(|text| text.split(';').next());
        match essence.map(str::trim) {
            Some("application/proto") => Ok(Self::Proto),
            Some("application/json") => Ok(Self::Json),
            _ => Err(Box::new(
                (
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    [(header::ACCEPT, "application/proto, application/json")],
                )
                    .into_response(),
            )),
        }
    }

    /// Reads a question.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read<Q: Message + Default + DeserializeOwned>(
        self,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Q, Status> {
        let body = unpacked(headers, body)?;
        match self {
            Self::Proto => {
                Q::decode(body).map_err(|error| Status::invalid_argument(error.to_string()))
            }
            Self::Json => serde_json::from_slice(&body)
                .map_err(|error| Status::invalid_argument(error.to_string())),
        }
    }

    /// Writes an answer.
    pub(super) fn write<A: Message + Serialize>(self, answer: &A) -> Response {
        let (kind, bytes) = match self {
            Self::Proto => ("application/proto", Ok(answer.encode_to_vec())),
            Self::Json => ("application/json", serde_json::to_vec(answer)),
        };
        match bytes {
            Ok(bytes) => with_type(kind, bytes),
            Err(error) => refusal(&Status::internal(error.to_string())),
        }
    }
}

/// Bytes of a type.
pub(super) fn with_type(kind: &'static str, bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, kind)], bytes).into_response()
}

/// An error as the protocol writes it: always JSON, whatever the codec.
pub(super) fn refusal(status: &Status) -> Response {
    let (http, code) = names(status.code());
    let body = Refusal {
        code: code.to_owned(),
        message: status.message().to_owned(),
    };
    (http, axum::Json(body)).into_response()
}

/// What the protocol calls an error, and its status over HTTP.
fn names(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::InvalidArgument => (StatusCode::BAD_REQUEST, "invalid_argument"),
        Code::FailedPrecondition => (StatusCode::BAD_REQUEST, "failed_precondition"),
        Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "resource_exhausted"),
        Code::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded"),
        Code::Unimplemented => (StatusCode::NOT_IMPLEMENTED, "unimplemented"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        // The codes above are all that questions end with.
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Aborted
        | Code::OutOfRange
        | Code::DataLoss
        | Code::Unauthenticated => (StatusCode::INTERNAL_SERVER_ERROR, "unknown"),
    }
}

/// A body as it was before it was packed for the way.
fn unpacked(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, Status> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    match encoding.map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => Ok(body.clone()),
        Some(b"gzip") => {
            let mut bytes = Vec::new();
            let most = QUESTION_SIZE_BYTES_MAX as u64 + 1;
            (MultiGzDecoder::new(&body[..]).take(most))
                .read_to_end(&mut bytes)
                .map_err(|error| Status::invalid_argument(error.to_string()))?;
            if QUESTION_SIZE_BYTES_MAX < bytes.len() {
                return Err(Status::resource_exhausted("the question is too large"));
            }
            Ok(bytes.into())
        }
        Some(_) => Err(Status::unimplemented("packed other than by gzip")),
    }
}
