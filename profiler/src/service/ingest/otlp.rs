//! OTLP profiles, over gRPC and HTTP.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Extension,
    extract::State,
    http::{self, HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response as HttpResponse},
};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::profiles::v1development::{
    ExportProfilesPartialSuccess as PartialSuccess, ExportProfilesServiceResponse as Answer,
};
use prost::Message as _;
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    codec::CompressionEncoding,
    server::{Grpc, NamedService, UnaryService},
};
use tower::Service;

use super::{
    UploadError,
    body::Unpacked,
    codec::RawCodec,
    limits::UPLOAD_SIZE_BYTES_MAX,
    pprof::{answer, read_on_a_thread},
    server::Later,
    service::Ingest,
    upload::{Upload, keep},
};
use crate::{
    model::Labels,
    service::access::Identity,
    wire::otlp::{self, OtlpProfile, OtlpProfiles},
};

/// The one method of the service.
const METHOD: &str = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";

/// `opentelemetry.proto.collector.profiles.v1development.ProfilesService`.
#[derive(Clone)]
pub struct OtlpServer(Arc<Ingest>);

/// Takes one request.
struct Export(Arc<Ingest>);

impl OtlpServer {
    /// Profiles are taken by `ingest`.
    pub fn new(ingest: Arc<Ingest>) -> Self {
        Self(ingest)
    }
}

impl NamedService for OtlpServer {
    const NAME: &'static str =
        "opentelemetry.proto.collector.profiles.v1development.ProfilesService";
}

impl Service<http::Request<Body>> for OtlpServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Later<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != METHOD {
            return Box::pin(async { Ok(Status::unimplemented("no such method").into_http()) });
        }
        let method = Export(Arc::clone(&self.0));
        Box::pin(async move {
            let mut grpc = Grpc::new(RawCodec::<Answer>::default())
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd)
                .max_decoding_message_size(UPLOAD_SIZE_BYTES_MAX);
            Ok(grpc.unary(method, request).await)
        })
    }
}

impl UnaryService<Bytes> for Export {
    type Response = Answer;
    type Future = Later<Result<Response<Answer>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let ingest = Arc::clone(&self.0);
        let identity = request.extensions().get::<Identity>().cloned();
        Box::pin(async move {
            let identity = identity.unwrap_or_else(Identity::anyone);
            let body = request.into_inner();
            let outcome = export(&ingest, &identity, HeaderMap::new(), body).await;
            outcome
                .map(Response::new)
                .map_err(|error| to_status(&ingest, &error))
        })
    }
}

/// Takes one request over HTTP, as protobuf.
pub(super) async fn export_http(
    State(ingest): State<Arc<Ingest>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: Bytes,
) -> HttpResponse {
    let content_type = headers.get(header::CONTENT_TYPE);
    if content_type.is_none_or(|kind| !kind.as_bytes().starts_with(b"application/x-protobuf")) {
        let text = "send application/x-protobuf\n";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
    }
    let outcome = export(&ingest, &identity, headers, body).await;
    let content_type = [(header::CONTENT_TYPE, "application/x-protobuf")];
    let outcome = outcome.map(|message| (content_type, message.encode_to_vec()).into_response());
    answer(&ingest, &identity, outcome)
}

/// Reads a request and makes its profiles durable.
async fn export(
    ingest: &Arc<Ingest>,
    identity: &Identity,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Answer, UploadError> {
    let size_bytes = body.len();
    let read = read_on_a_thread(ingest, move || {
        let unpacked = Unpacked::new(&headers, &body)?;
        otlp::read(unpacked.bytes()).map_err(UploadError::Otlp)
    });
    let OtlpProfiles {
        profiles,
        rejected,
        reason,
    } = read.await?;
    let uploads = profiles.into_iter().map(to_upload).collect();
    keep(ingest, identity, size_bytes, uploads).await?;
    let partial_success = reason.map(|reason| PartialSuccess {
        rejected_profiles: i64::try_from(rejected).unwrap_or(i64::MAX),
        error_message: reason.to_string(),
    });
    Ok(Answer { partial_success })
}

/// A profile as an upload.
fn to_upload(read: OtlpProfile) -> Upload {
    Upload {
        profile: read.profile,
        signal: read.signal,
        period_ns: read.period_ns,
        labels: Labels::new(),
    }
}

/// An error in gRPC's words.
fn to_status(ingest: &Ingest, error: &UploadError) -> Status {
    let code = if error.is_malformed() {
        ingest.counters.malformed.inc();
        Code::InvalidArgument
    } else if error.wait_s().is_some() {
        Code::ResourceExhausted
    } else {
        Code::Unavailable
    };
    Status::new(code, error.chain())
}
