//! The gRPC face of the stream: as generated code has it, but messages arrive as bytes.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::http;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codec::CompressionEncoding,
    server::{Grpc, NamedService, StreamingService},
};
use tower::Service;

use super::{
    codec::RawCodec, limits::ANSWERS_WAITING_MAX, outgoing::Outgoing, service::Ingest, stream,
};
use crate::{
    service::access::Identity,
    wire::v1::{generated::IngestResponse, limits::MESSAGE_SIZE_BYTES_MAX},
};

/// The one method of the service.
const METHOD: &str = "/profiler.v1.IngestService/Ingest";

/// Something that will be there.
pub(super) type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// `profiler.v1.IngestService`.
#[derive(Clone)]
pub struct IngestServer(Arc<Ingest>);

/// Starts a task for each stream.
struct Ingestion(Arc<Ingest>);

impl IngestServer {
    /// Streams are taken by `ingest`.
    pub fn new(ingest: Arc<Ingest>) -> Self {
        Self(ingest)
    }
}

impl NamedService for IngestServer {
    const NAME: &'static str = "profiler.v1.IngestService";
}

impl Service<http::Request<Body>> for IngestServer {
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
        let method = Ingestion(Arc::clone(&self.0));
        Box::pin(async move {
            let mut grpc = Grpc::new(RawCodec::<IngestResponse>::default())
                .accept_compressed(CompressionEncoding::Zstd)
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(MESSAGE_SIZE_BYTES_MAX);
            Ok(grpc.streaming(method, request).await)
        })
    }
}

impl StreamingService<Bytes> for Ingestion {
    type Response = IngestResponse;
    type ResponseStream = ReceiverStream<Result<IngestResponse, Status>>;
    type Future = Later<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let ingest = Arc::clone(&self.0);
        let identity = request.extensions().get::<Identity>().cloned();
        let (sender, answers) = mpsc::channel(ANSWERS_WAITING_MAX);
        Box::pin(async move {
            let identity = identity.unwrap_or_else(Identity::anyone);
            let outgoing = Outgoing::new(sender);
            let frames = request.into_inner();
            tokio::spawn(stream::run(ingest, identity, frames, outgoing));
            Ok(Response::new(ReceiverStream::new(answers)))
        })
    }
}
