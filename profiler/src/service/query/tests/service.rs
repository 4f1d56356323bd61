//! The service over a real connection on loopback.

use std::{sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request,
    transport::{Channel, Endpoint, Server},
};

use super::data::{START, WINDOW, reader, window};
use crate::{
    model::BurstOrder,
    service::{live::Live, query::server},
    wire::v1::generated::{
        self as v1, BurstRequest, ExportFormat, ExportRequest, FlameGraphRequest, HostsRequest,
        SeriesRequest, SyscallsRequest, TopRequest, WatchRequest,
        query_service_client::QueryServiceClient,
    },
};

/// Starts the service, and connects to it.
async fn connect(live: &Live) -> QueryServiceClient<Channel> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = server(Arc::new(reader()), live.clone(), Arc::default());
    tokio::spawn(async move {
        Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await
    });
    let endpoint = Endpoint::new(format!("http://{address}")).unwrap();
    QueryServiceClient::new(endpoint.connect().await.unwrap())
}

/// The whole time that has data.
fn selection(selector: &str) -> v1::Selection {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
    v1::Selection {
        selector: selector.to_owned(),
        start_ns: nanoseconds(START),
        end_ns: nanoseconds(START + WINDOW * 2),
        ..v1::Selection::default()
    }
}

#[tokio::test]
async fn questions_are_answered_over_the_wire() {
    let live = Live::default();
    let daemon = live.connect("b", false);
    let mut client = connect(&live).await;
    let asked = FlameGraphRequest {
        selection: Some(selection("")),
        node_limit: 0,
    };
    let graph = client.flame_graph(asked).await.unwrap().into_inner();
    assert_eq!((165, 7), (graph.total, graph.nodes_total));
    let root = graph.nodes[0];
    assert_eq!("(all)", graph.strings[root.function as usize]);
    assert_eq!((0, 165, 0), (root.parent, root.total, root.self_));
    assert_eq!(161, graph.quality.unwrap().complete);

    let asked = TopRequest {
        selection: Some(selection("{service=\"web\"}")),
        limit: 1,
        ..TopRequest::default()
    };
    let top = client.top(asked).await.unwrap().into_inner();
    assert_eq!(
        (1, "work", 30),
        (top.rows.len(), top.rows[0].name.as_str(), top.rows[0].self_)
    );

    let range = selection("");
    let asked = HostsRequest {
        start_ns: range.start_ns,
        end_ns: range.end_ns,
    };
    let hosts = client.hosts(asked).await.unwrap().into_inner().hosts;
    let connected: Vec<_> = hosts
        .iter()
        .map(|host| (&*host.host, host.is_connected))
        .collect();
    assert_eq!(vec![("a", false), ("b", true)], connected);
    drop(daemon);

    let asked = SeriesRequest {
        selection: Some(selection("")),
        ..SeriesRequest::default()
    };
    let series = client.series(asked).await.unwrap().into_inner();
    assert_eq!((1, 10_000_000_000), (series.lines.len(), series.step_ns));
}

#[tokio::test]
async fn a_file_comes_in_parts() {
    let mut client = connect(&Live::default()).await;
    let asked = ExportRequest {
        selection: Some(selection("")),
        format: ExportFormat::Svg.into(),
    };
    let mut parts = client.export(asked).await.unwrap().into_inner();
    let mut file = Vec::new();
    while let Some(part) = parts.message().await.unwrap() {
        file.extend(part.chunk);
    }
    let text = String::from_utf8(file).unwrap();
    assert!(text.contains("CPU flame graph on a, b") && text.ends_with("</svg>\n"));
    assert!(text.contains("truncated 4 (2.4%)"));
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let mut client = connect(&Live::default()).await;
    let ask = |selector: &str| FlameGraphRequest {
        selection: Some(selection(selector)),
        node_limit: 0,
    };
    let asked = SyscallsRequest {
        selection: Some(selection("")),
        ..SyscallsRequest::default()
    };
    let error = client.syscalls(asked).await.unwrap_err();
    assert_eq!(Code::NotFound, error.code());
    assert!(error.message().contains("-e cpu,syscall"), "{error}");
    let error = client.flame_graph(ask("{a>1}")).await.unwrap_err();
    assert_eq!(Code::InvalidArgument, error.code());
    assert!(error.message().contains("column 3"), "{error}");
    let error = client.flame_graph(ask("{a=~\"(\"}")).await.unwrap_err();
    assert_eq!(Code::InvalidArgument, error.code());
    let mut late = Request::new(ask(""));
    late.set_timeout(Duration::ZERO);
    let error = client.flame_graph(late).await.unwrap_err();
    assert!(
        matches!(error.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{error}"
    );
    let huge = ask(&" ".repeat(super::super::limits::QUESTION_SIZE_BYTES_MAX));
    let error = client.flame_graph(huge).await.unwrap_err();
    assert_eq!(Code::OutOfRange, error.code());
}

#[tokio::test]
async fn windows_are_watched_as_they_arrive() {
    let live = Live::default();
    let mut client = connect(&live).await;
    let asked = WatchRequest {
        selector: "{service=\"api\"}".to_owned(),
        ..WatchRequest::default()
    };
    let mut seen = client.watch(asked).await.unwrap().into_inner();
    let api: &[(&str, &str)] = &[("service", "api")];
    let web: &[(&str, &str)] = &[("service", "web")];
    live.publish(window("a", 0, &[(web, &[(1, 1)])]));
    live.publish(window("b", 1, &[(api, &[(1, 2)]), (web, &[(1, 4)])]));
    let shown = seen.message().await.unwrap().unwrap();
    let graph = shown.flame_graph.unwrap();
    assert_eq!(
        ("b", 2, 0),
        (shown.host.as_str(), graph.total, shown.skipped)
    );
    assert_eq!(2, graph.quality.unwrap().samples);
}

#[tokio::test]
async fn a_watcher_that_is_too_slow_is_told_what_it_missed() {
    let live = Live::default();
    let mut client = connect(&live).await;
    let mut seen = client
        .watch(WatchRequest::default())
        .await
        .unwrap()
        .into_inner();
    let api: &[(&str, &str)] = &[("service", "api")];
    // No await in between: the watcher does not come to run before all of them are there.
    let count = 5_000;
    for number in 0..count {
        live.publish(window("a", number, &[(api, &[(1, 1)])]));
    }
    let first = seen.message().await.unwrap().unwrap();
    let shown_start = Duration::from_nanos(first.start_ns);
    assert!(0 < first.skipped);
    let missed = shown_start.saturating_sub(START).as_secs() / WINDOW.as_secs();
    assert_eq!(missed, first.skipped);
}

#[tokio::test]
async fn a_burst_reaches_the_daemon_within_its_bounds() {
    let live = Live::default();
    let mut client = connect(&live).await;
    let mut daemon = live.connect("a", true);
    let asked = BurstRequest {
        host: "a".to_owned(),
        signal: String::new(),
        rate_hz: 500,
        duration_ns: 1_000_000_000,
        pids: vec![7],
    };
    let given = client.burst(asked.clone()).await.unwrap().into_inner();
    let order = daemon.orders.recv().await.unwrap();
    let expected = BurstOrder {
        id: given.id,
        signal: "cpu".to_owned(),
        rate_hz: 500,
        duration: Duration::from_secs(1),
        pids: vec![crate::model::Pid(7)],
    };
    assert_eq!(expected, order);
    let nobody = BurstRequest {
        host: "b".to_owned(),
        ..asked.clone()
    };
    let error = client.burst(nobody).await.unwrap_err();
    assert_eq!(Code::FailedPrecondition, error.code());
    assert!(error.message().contains("host `b`"), "{error}");
    for wrong in [
        BurstRequest {
            rate_hz: 0,
            ..asked.clone()
        },
        BurstRequest {
            rate_hz: 1_001,
            ..asked.clone()
        },
        BurstRequest {
            duration_ns: u64::MAX,
            ..asked.clone()
        },
        BurstRequest {
            signal: "nothing".to_owned(),
            ..asked.clone()
        },
        BurstRequest {
            duration_ns: 0,
            ..asked
        },
    ] {
        let error = client.burst(wrong).await.unwrap_err();
        assert_eq!(Code::InvalidArgument, error.code(), "{error}");
    }
}
