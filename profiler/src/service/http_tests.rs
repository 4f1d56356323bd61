//! The other ways in, and what everyone may ask, against a real service on loopback.

use std::{io::Write as _, path::PathBuf};

use flate2::{Compression, write::GzEncoder};
use prost::Message as _;
use tokio::net::TcpStream;
use tonic::{
    Request,
    transport::{Certificate, ClientTlsConfig, Endpoint, Identity},
};

use super::{
    fixture::{Daemon, Running, batch},
    run::ADMIN_HEADER,
};
use crate::{
    config::TlsConfig,
    render::{self, Format},
    wire::{
        push::{LabelPair, PushRequest, RawProfileSeries, RawSample},
        v1::generated::{Selection, TopRequest, query_service_client::QueryServiceClient},
    },
};

/// A pprof file of two stacks, five samples.
fn pprof() -> Vec<u8> {
    let profile = render::read(b"app;main;f 3\napp;main;g 2\n", Format::Collapsed).unwrap();
    render::write(&profile, Format::Pprof).unwrap()
}

/// Bytes, gzipped.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pprof_and_collapsed_uploads_are_kept_and_found() {
    let running = Running::start(|_| {}).await;
    let path = "/ingest?name=shop.cpu%7Bregion%3Deu%7D&from=1700000000&until=1700000010";
    let answer = running.http("POST", path, "", &pprof()).await;
    assert_eq!((200, ""), (answer.status, answer.body.as_str()));
    let folded = running.http("POST", path, "", b"app;main;h 7\n").await;
    assert_eq!(200, folded.status, "{}", folded.body);
    let packed = gzip(b"app;main;h 1\n");
    let head = "content-encoding: gzip\r\n";
    let folded = running.http("POST", path, head, &packed).await;
    assert_eq!(200, folded.status, "{}", folded.body);
    let mut client = QueryServiceClient::new(running.channel().await);
    let selection = Selection {
        selector: "{service=\"shop\", region=\"eu\"}".to_owned(),
        start_ns: 1_699_999_000_000_000_000,
        end_ns: 1_700_001_000_000_000_000,
        ..Selection::default()
    };
    let top = TopRequest {
        selection: Some(selection),
        ..TopRequest::default()
    };
    let top = client.top(Request::new(top)).await.unwrap().into_inner();
    assert_eq!(13, top.total);
    assert_eq!("h", top.rows[0].name);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_with_labels_is_kept() {
    let running = Running::start(|_| {}).await;
    let pair = |name: &str, value: &str| LabelPair {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let push = PushRequest {
        series: vec![RawProfileSeries {
            labels: vec![
                pair("service_name", "shop"),
                pair("__name__", "process_cpu"),
            ],
            samples: vec![RawSample {
                raw_profile: pprof(),
                id: String::new(),
            }],
        }],
    };
    let path = "/push.v1.PusherService/Push";
    let head = "content-type: application/proto\r\n";
    let answer = running
        .http("POST", path, head, &push.encode_to_vec())
        .await;
    assert_eq!(200, answer.status, "{}", answer.body);
    assert_eq!(5, running.total("cpu"));
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_cannot_be_read_are_refused_with_the_reason() {
    let running = Running::start(|_| {}).await;
    let answer = running.http("POST", "/ingest?format=jfr", "", b"x").await;
    assert_eq!(415, answer.status);
    let answer = running
        .http("POST", "/ingest?format=pprof", "", b"\x1f\x8bx")
        .await;
    assert_eq!(400, answer.status);
    assert!(
        answer.body.contains("profile cannot be read"),
        "{}",
        answer.body
    );
    let head = "content-type: application/x-protobuf\r\n";
    let path = "/v1development/profiles";
    assert_eq!(400, running.http("POST", path, head, b"\xff").await.status);
    let json = "content-type: application/json\r\n";
    assert_eq!(415, running.http("POST", path, json, b"{}").await.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_metrics_and_what_is_not_there() {
    let running = Running::start(|_| {}).await;
    let health = running.http("GET", "/healthz", "", b"").await;
    assert_eq!(
        (200, "{\"status\":\"ok\",\"daemons\":0,\"alarms\":[]}"),
        (health.status, &*health.body)
    );
    let metrics = running.http("GET", "/metrics", "", b"").await;
    assert!(metrics.body.contains("profiler_ingest_batches_total 0"));
    assert_eq!(404, running.http("GET", "/nothing", "", b"").await.status);
    let dir = tempfile::tempdir().unwrap();
    let path = format!("/admin/backup?dir={}", dir.path().display());
    assert_eq!(403, running.http("POST", &path, "", b"").await.status);
    let head = format!("{ADMIN_HEADER}: 1\r\n");
    let relative = running
        .http("POST", "/admin/backup?dir=x", &head, b"")
        .await;
    assert_eq!(400, relative.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_port_harms_nobody() {
    use tokio::io::AsyncWriteExt as _;
    let running = Running::start(|_| {}).await;
    for garbage in [
        &b"\x16\x03\x01\x02\0"[..],
        &[0xff; 4096],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut stream = TcpStream::connect(running.service.address()).await.unwrap();
        stream.write_all(garbage).await.unwrap();
    }
    let mut daemon = running.daemon(1).await;
    daemon.batch(1, &batch("f", 1)).await;
    daemon.acknowledged(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_every_service() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let running = Running::start(|_| {}).await;
    let mut client = ServerReflectionClient::new(running.channel().await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let request = tokio_stream::once(request);
    let mut answers = client
        .server_reflection_info(request)
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("no list");
    };
    let names: Vec<_> = list.service.iter().map(|service| &*service.name).collect();
    for name in [
        "profiler.v1.IngestService",
        "profiler.v1.QueryService",
        "grpc.health.v1.Health",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
}

/// A file of the fixtures: an authority, a server and a client signed by it, for a hundred years.
fn tls_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/tls")
        .join(name)
}

/// A PEM file.
fn pem(name: &str) -> String {
    std::fs::read_to_string(tls_file(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_tell_who_it_is() {
    let running = Running::start(|config| {
        config.tls = Some(TlsConfig {
            cert: tls_file("server.pem"),
            key: tls_file("server.key"),
            client_ca: Some(tls_file("ca.pem")),
            client_roles: vec![crate::config::RoleName::Write],
        });
    })
    .await;
    let url = format!("https://localhost:{}", running.service.address().port());
    let trust = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem("ca.pem")));
    let connect = async |tls: ClientTlsConfig| {
        let endpoint = Endpoint::from_shared(url.clone()).unwrap();
        endpoint.tls_config(tls).unwrap().connect().await.unwrap()
    };
    let stranger = Daemon::connect(connect(trust.clone()).await, None).await;
    assert_eq!(
        Some(tonic::Code::Unauthenticated),
        stranger.err().map(|status| status.code())
    );
    let identity = Identity::from_pem(pem("client.pem"), pem("client.key"));
    let channel = connect(trust.identity(identity)).await;
    let mut daemon = Daemon::connect(channel.clone(), None).await.unwrap();
    daemon.hello(1).await;
    daemon.batch(1, &batch("f", 1)).await;
    daemon.acknowledged(1).await;
    let forbidden = QueryServiceClient::new(channel)
        .top(TopRequest::default())
        .await;
    assert_eq!(tonic::Code::PermissionDenied, forbidden.unwrap_err().code());
    running.service.reload().unwrap();
}
