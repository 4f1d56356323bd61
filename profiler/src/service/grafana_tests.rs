//! What Grafana's data source calls, against a real service on loopback.

use prost::Message as _;

use crate::{
    render::{self, Format},
    service::fixture::Running,
    wire::querier::{AskKinds, AskMerged, AskNames, AskTrend},
};

/// The only kind of profile in these tests.
const KIND: &str = "cpu:samples:count:cpu:nanoseconds";
/// Around the data, in milliseconds.
const SPAN: (i64, i64) = (1_699_999_990_000, 1_700_000_020_000);

/// A service with eight samples of `shop`.
async fn shop() -> Running {
    let running = Running::start(|_| {}).await;
    let path = "/ingest?name=shop.cpu%7Bregion%3Deu%7D&from=1700000000&until=1700000010";
    let stacks = b"app;main;f 3\napp;main;g 2\napp;main;g;h 3\n";
    let answer = running.http("POST", path, "", stacks).await;
    assert_eq!(200, answer.status, "{}", answer.body);
    running
}

/// Asks in JSON, as people do; the answer is JSON too.
async fn ask(running: &Running, call: &str, question: &str) -> (u16, serde_json::Value) {
    let path = format!("/querier.v1.QuerierService/{call}");
    let head = "content-type: application/json\r\n";
    let answer = running.http("POST", &path, head, question.as_bytes()).await;
    let body = serde_json::from_str(&answer.body);
    (
        answer.status,
        body.unwrap_or_else(|_| panic!("{}", answer.body)),
    )
}

/// A question with the span of the data.
fn with_span(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    format!(
        r#"{{"start":"{}","end":"{}"{comma}{fields}}}"#,
        SPAN.0, SPAN.1
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn grafanas_data_source_finds_all_it_calls() {
    let running = shop().await;
    let (_, kinds) = ask(&running, "ProfileTypes", &with_span("")).await;
    assert_eq!(KIND, kinds["profileTypes"][0]["ID"]);
    let (_, names) = ask(&running, "LabelNames", &with_span(r#""matchers":["{}"]"#)).await;
    let names = names["names"].as_array().unwrap().clone();
    assert!(names.contains(&"region".into()), "{names:?}");
    let fields = r#""name":"service_name","matchers":["{region=\"eu\"}"]"#;
    let (_, values) = ask(&running, "LabelValues", &with_span(fields)).await;
    assert_eq!(serde_json::json!({"names": ["shop"]}), values);
    let selected =
        format!(r#""profileTypeID":"{KIND}","labelSelector":"{{service_name=\"shop\"}}""#);
    let fields = format!(r#"{selected},"step":15,"groupBy":["region"]"#);
    let (_, trend) = ask(&running, "SelectSeries", &with_span(&fields)).await;
    let line = &trend["series"][0];
    assert_eq!(
        serde_json::json!([{"name": "region", "value": "eu"}]),
        line["labels"]
    );
    let points = line["points"].as_array().unwrap();
    let sum: f64 = points
        .iter()
        .map(|point| point["value"].as_f64().unwrap())
        .sum();
    assert!((8.0 - sum).abs() < 1e-9, "{trend}");
    let (_, graph) = ask(&running, "SelectMergeStacktraces", &with_span(&selected)).await;
    // The outermost name of an upload is its process, which is a label and no frame.
    let level = |values: &[&str]| serde_json::json!({ "values": values });
    let expected = serde_json::json!({"flamegraph": {
        "names": ["total", "main", "f", "g", "h"],
        "levels": [
            level(&["0", "8", "0", "0"]),
            level(&["0", "8", "0", "1"]),
            level(&["0", "3", "3", "2", "0", "5", "2", "3"]),
            // `h` lies below `g`, to the right of what `f` takes.
            level(&["3", "3", "3", "4"]),
        ],
        "total": "8",
        "maxSelf": "3",
    }});
    assert_eq!(expected, graph);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_in_protobuf_are_answered_in_protobuf() {
    let running = shop().await;
    let head = "content-type: application/proto\r\nconnect-protocol-version: 1\r\n";
    let post = async |call: &str, question: Vec<u8>| {
        let path = format!("/querier.v1.QuerierService/{call}");
        running.http_bytes("POST", &path, head, &question).await
    };
    let (start, end) = SPAN;
    let kinds = post("ProfileTypes", AskKinds { start, end }.encode_to_vec()).await;
    assert!(String::from_utf8_lossy(&kinds).contains(KIND));
    let names = AskNames {
        matchers: vec![String::new()],
        start,
        end,
    };
    let names = post("LabelNames", names.encode_to_vec()).await;
    assert!(String::from_utf8_lossy(&names).contains("region"));
    let merged = AskMerged {
        profile_type_id: KIND.to_owned(),
        label_selector: "{}".to_owned(),
        start,
        end,
        max_nodes: None,
    };
    let file = post("SelectMergeProfile", merged.encode_to_vec()).await;
    let file = render::read(&file, Format::Pprof).unwrap();
    let sum: u64 = file.samples.iter().map(|sample| sample.values[0]).sum();
    assert_eq!(8, sum);
    let trend = AskTrend {
        profile_type_id: KIND.to_owned(),
        start,
        end,
        limit: Some(1),
        ..AskTrend::default()
    };
    assert!(!post("SelectSeries", trend.encode_to_vec()).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_spans_are_compared_and_sets_of_labels_listed() {
    let running = shop().await;
    let side = with_span(&format!(
        r#""profileTypeID":"{KIND}","labelSelector":"{{}}""#
    ));
    let question = format!(r#"{{"left":{side},"right":{side}}}"#);
    let (_, diff) = ask(&running, "Diff", &question).await;
    let root = diff["flamegraph"]["levels"][0]["values"]
        .as_array()
        .unwrap();
    assert_eq!(7, root.len());
    assert_eq!("8", diff["flamegraph"]["rightTicks"]);
    let fields = r#""labelNames":["service_name","__profile_type__"]"#;
    let (_, sets) = ask(&running, "Series", &with_span(fields)).await;
    let expected = serde_json::json!({"labelsSet": [{"labels": [
        {"name": "__profile_type__", "value": KIND},
        {"name": "service_name", "value": "shop"},
    ]}]});
    assert_eq!(expected, sets);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_is_refused_with_the_reason() {
    let running = shop().await;
    for (call, question, status, code) in [
        ("SelectMergeStacktraces", "{}", 400, "invalid_argument"),
        ("ProfileTypes", "{", 400, "invalid_argument"),
        (
            "LabelNames",
            r#"{"matchers":["{"]}"#,
            400,
            "invalid_argument",
        ),
        ("SelectMergeSpanProfile", "{}", 501, "unimplemented"),
        ("SelectMergeProfile", "{}", 501, "unimplemented"),
    ] {
        let (found, body) = ask(&running, call, question).await;
        assert_eq!(
            (status, code),
            (found, body["code"].as_str().unwrap()),
            "{call}"
        );
        assert!(!body["message"].as_str().unwrap().is_empty());
    }
    let path = "/querier.v1.QuerierService/ProfileTypes";
    assert_eq!(415, running.http("POST", path, "", b"").await.status);
}
