//! Traces of the service's own work, at a collector.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use profiler::wire::v1::generated::{FlameGraphRequest, Selection};
use profiler_tests::harness::{Server, free_address, until};
use tempfile::TempDir;
use tonic::{Request, Response, Status};

use super::{foreign::feed, totals::client};

/// A client's trace, as the header has it, and its parts.
const TRACE_PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE_ID: [u8; 16] = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
const PARENT_ID: [u8; 8] = 0xb7ad_6b71_6920_3331_u64.to_be_bytes();
/// Longest time until spans arrive: they are sent every five seconds.
const SPANS_LIMIT: Duration = Duration::from_secs(60);

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let groups = request.into_inner().resource_spans.into_iter();
        let scopes = groups.flat_map(|group| group.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans);
        self.0.lock().unwrap().extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Spans of a name.
    fn named(&self, name: &str) -> Vec<Span> {
        let spans = self.0.lock().unwrap();
        spans
            .iter()
            .filter(|span| span.name == name)
            .cloned()
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_of_a_question_are_within_the_trace_of_its_client() {
    let collector = Collector::default();
    let address = free_address().unwrap();
    let service = TraceServiceServer::new(collector.clone());
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve(address),
    );
    let dir = TempDir::new().unwrap();
    let url = format!("http://{address}");
    let server = Server::start(dir.path(), &["--traces", &url]).unwrap();
    feed(&server).await;
    let mut client = client(&server).await;
    let mut request = Request::new(FlameGraphRequest {
        selection: Some(Selection::default()),
        ..FlameGraphRequest::default()
    });
    let parent = TRACE_PARENT.parse().unwrap();
    request.metadata_mut().insert("traceparent", parent);
    client.flame_graph(request).await.unwrap();
    let asked = "profiler.v1.QueryService/FlameGraph";
    let arrived = until("the spans arrive", SPANS_LIMIT, || {
        Ok(collector.named(asked).pop())
    });
    let asked = arrived.unwrap();
    assert_eq!(
        (&TRACE_ID[..], &PARENT_ID[..]),
        (&*asked.trace_id, &*asked.parent_span_id)
    );
    let of_question = |name| {
        let spans = collector.named(name);
        let span = spans.into_iter().find(|span| span.trace_id == TRACE_ID);
        span.unwrap_or_else(|| panic!("no span `{name}`"))
    };
    let worked = of_question("work out");
    assert_eq!(asked.span_id, worked.parent_span_id);
    assert_eq!(worked.span_id, of_question("read stacks").parent_span_id);
    // What is left is sent before the end: the windows were made durable within one of these.
    assert!(server.stop().unwrap().success());
    assert!(!collector.named("commit").is_empty());
}
