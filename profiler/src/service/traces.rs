//! Traces of what the service does, for an OpenTelemetry collector.
//!
//! Each request is a span, within the client's trace where it names one (`traceparent`); within it
//! are the spans that the stages open by themselves. Nothing is made unless it is asked for.

use std::time::Duration;

use anyhow::Context as _;
use axum::{
    extract::Request,
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use opentelemetry::{
    propagation::{Extractor, TextMapPropagator as _},
    trace::TracerProvider as _,
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tokio::runtime::Runtime;
use tracing::{Instrument as _, Level, Span, Subscriber, field::Empty, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use crate::telemetry::TRACES;

/// Longest time that the last spans may take to be sent when the service stops.
const LAST_SPANS_TIME_MAX: Duration = Duration::from_secs(5);
/// Most characters of a path in a span: paths are the clients'.
const PATH_CHARS_MAX: usize = 128;
/// Header with the result of a call that failed at once.
const GRPC_STATUS: &str = "grpc-status";
/// Start of the type of every gRPC message.
const GRPC_TYPE: &str = "application/grpc";

/// The way to a collector. Dropping it sends what is left.
pub struct Traces {
    provider: SdkTracerProvider,
    /// Carries the connection to the collector: the log begins before the service has threads.
    _runtime: Runtime,
}

impl Traces {
    /// Gets ready to send spans by OTLP over gRPC. A collector that is away costs spans, nothing
    /// else.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn to(collector: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("traces")
            .enable_all()
            .build()
            .context("start a thread for traces")?;
        let within = runtime.enter();
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(collector)
            .build()
            .with_context(|| format!("send traces to {collector}"))?;
        drop(within);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(Resource::builder().with_service_name("profiler").build())
            .build();
        Ok(Self {
            provider,
            _runtime: runtime,
        })
    }

    /// The part of the log that takes spans, and warnings within them.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        let wanted = Targets::new()
            .with_target(env!("CARGO_CRATE_NAME"), LevelFilter::WARN)
            .with_target(TRACES, LevelFilter::DEBUG);
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("profiler"))
            .with_filter(wanted)
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST_SPANS_TIME_MAX) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Answers a request within a span of its own.
pub(super) async fn trace(request: Request, next: Next) -> Response {
    // Most services send no traces: their requests pay for nothing of what follows.
    if !tracing::span_enabled!(target: TRACES, Level::DEBUG) {
        return next.run(request).await;
    }
    let span = span_of(&request);
    let parent = TraceContextPropagator::new().extract(&Headers(request.headers()));
    // It fails when nobody takes spans, and then nothing is lost.
    let _no_layer = span.set_parent(parent);
    let response = next.run(request).instrument(span.clone()).await;
    note_result(&span, &response);
    response
}

/// The span of a request, named as OpenTelemetry names calls.
fn span_of(request: &Request) -> Span {
    let path: String = (request.uri().path().chars())
        .take(PATH_CHARS_MAX)
        .collect();
    let kind = request.headers().get(header::CONTENT_TYPE);
    let is_grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(GRPC_TYPE.as_bytes()));
    let called = path.trim_start_matches('/').split_once('/');
    if let (true, Some((service, method))) = (is_grpc, called) {
        return tracing::debug_span!(
            target: TRACES,
            "rpc",
            otel.name = format!("{service}/{method}"),
            otel.kind = "server",
            rpc.system = "grpc",
            rpc.service = service,
            rpc.method = method,
            rpc.grpc.status_code = Empty,
        );
    }
    tracing::debug_span!(
        target: TRACES,
        "http",
        otel.name = format!("{} {path}", request.method()),
        otel.kind = "server",
        http.request.method = %request.method(),
        url.path = path,
        http.response.status_code = Empty,
    )
}

/// Notes how a request ended, as far as the head of the answer tells.
fn note_result(span: &Span, response: &Response) {
    span.record("http.response.status_code", response.status().as_u16());
    let code = response.headers().get(GRPC_STATUS);
    if let Some(code) = code.and_then(|code| code.to_str().ok()?.parse::<i64>().ok()) {
        span.record("rpc.grpc.status_code", code);
    }
}

/// Headers, as the propagator reads them.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(header::HeaderName::as_str).collect()
    }
}
