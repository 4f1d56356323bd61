//! Clients and exporters that other people wrote.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use profiler::{
    clock,
    wire::v1::{
        encode_batch,
        generated::{
            BurstOrder, Hello, IngestRequest, ingest_request, ingest_response,
            ingest_service_client::IngestServiceClient,
        },
    },
};
use profiler_tests::{
    harness::{
        Server, build_dir,
        fleet::{Capture, FleetShape, Sender, SimulatedHost},
        skip,
    },
    require_tool,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::totals::total;

/// Packages of the scripts in `py`, at versions known to work.
const PACKAGES: [&str; 3] = [
    "grpcio==1.85.1",
    "grpcio-reflection==1.85.1",
    "opentelemetry-proto==1.45.2",
];

/// A Python that has the packages, installed at the first call; `None` after a line that says why not.
fn python(system: &Path) -> Option<PathBuf> {
    let dir = build_dir().unwrap().join("python");
    fs::create_dir_all(&dir).unwrap();
    // Tests run at the same time, in processes of their own.
    let lock = File::create(dir.join("lock")).unwrap();
    lock.lock().unwrap();
    let python = dir.join("bin/python");
    let stamp = dir.join("installed");
    let wanted = PACKAGES.join(" ");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Some(python);
    }
    let made = Command::new(system)
        .args(["-m", "venv"])
        .arg(&dir)
        .output()
        .unwrap();
    let installed = Command::new(dir.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(PACKAGES)
        .output();
    let Ok(installed) = installed else {
        skip(&format!(
            "python3 makes no environment: {}",
            String::from_utf8_lossy(&made.stderr)
        ));
        return None;
    };
    if !installed.status.success() {
        skip(&format!(
            "pip cannot install {wanted}: {}",
            String::from_utf8_lossy(&installed.stderr)
        ));
        return None;
    }
    fs::write(stamp, wanted).unwrap();
    Some(python)
}

/// Runs a script of `py` and returns what it printed.
#[track_caller]
fn run(python: &Path, script: &str, arguments: &[&str]) -> String {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/it/service/py")).join(script);
    let output = Command::new(python)
        .arg(path)
        .args(arguments)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Uploads a file as the agents of other profilers do.
#[track_caller]
fn upload(curl: &Path, server: &Server, file: &Path, query: &str) {
    let url = format!("{}/ingest?{query}", server.url());
    let output = Command::new(curl)
        .args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--data-binary",
        ])
        .arg(format!("@{}", file.display()))
        .arg(url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_client_finds_and_runs_every_query() {
    let system = require_tool!("python3");
    let Some(python) = python(&system) else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]).unwrap();
    feed(&server).await;
    let daemon = tokio::spawn(attend(server.url()));
    let arguments = [server.address(), "host-0007", "main", "host-0008"];
    let answers = run(&python, "ask.py", &arguments);
    let answers: Value = serde_json::from_str(&answers).unwrap();
    let services = answers["services"].to_string();
    for service in [
        "profiler.v1.QueryService",
        "profiler.v1.IngestService",
        "grpc.health.v1.Health",
    ] {
        assert!(services.contains(service), "{services}");
    }
    assert_eq!("host-0007", answers["LabelValues"]["values"][0]);
    assert_eq!("host-0007", answers["Hosts"]["hosts"][0]["host"]);
    for query in ["FlameGraph", "Top"] {
        assert_eq!("1520", answers[query]["total"], "{query}");
    }
    assert_eq!("1520", answers["Diff"]["afterTotal"]);
    let points = &answers["Series"]["lines"][0]["points"];
    assert_eq!("1520", points[0]["value"], "{points}");
    let chunk = answers["Export"][0]["chunk"].as_str().unwrap();
    assert!(chunk.len() > 1_000, "{} characters", chunk.len());
    let windows = answers["Watch"].as_array().unwrap();
    assert_eq!(2, windows.len(), "{windows:?}");
    for window in windows {
        assert_eq!("host-0008", window["host"]);
        assert_eq!("1520", window["flameGraph"]["total"]);
    }
    let order = daemon.await.unwrap();
    assert_eq!(answers["Burst"]["id"], order.id.to_string());
    assert_eq!(
        (499, 30_000_000_000, vec![1]),
        (order.rate_hz, order.duration_ns, order.pids)
    );
    assert!(answers["Labels"]["names"].to_string().contains("service"));
}

/// One window of a simulated host.
pub(super) async fn feed(server: &Server) {
    let capture = Arc::new(Capture::build().unwrap());
    let mut host = SimulatedHost::new(capture, FleetShape::default(), 7);
    let mut sender = Sender::new(&server.url(), &host.name(), 7);
    sender.push(host.batch(0, clock::wall().saturating_sub(Duration::from_secs(60))));
    sender.deliver().await.unwrap();
}

/// A daemon that delivers a window now and then until it gets an order.
async fn attend(url: String) -> BurstOrder {
    let capture = Arc::new(Capture::build().unwrap());
    let mut host = SimulatedHost::new(capture, FleetShape::default(), 8);
    let channel = Channel::from_shared(url).unwrap().connect().await;
    let mut client = IngestServiceClient::new(channel.unwrap());
    let (requests, outgoing) = mpsc::channel(8);
    let send = async |message| {
        let message = Some(message);
        requests.send(IngestRequest { message }).await.unwrap();
    };
    let hello = Hello {
        sender_id: vec![8; 16],
        host: host.name(),
        takes_bursts: true,
        ..Hello::default()
    };
    send(ingest_request::Message::Hello(hello)).await;
    let answers = client.ingest(ReceiverStream::new(outgoing)).await.unwrap();
    let mut answers = answers.into_inner();
    let epoch = clock::wall().saturating_sub(Duration::from_secs(3_000));
    let mut number = 0;
    loop {
        number += 1;
        let batch = encode_batch(number.into(), &host.batch(number, epoch));
        send(ingest_request::Message::Batch(batch)).await;
        let pause = tokio::time::sleep(Duration::from_millis(300));
        tokio::pin!(pause);
        loop {
            let answer = tokio::select! {
                answer = answers.message() => answer.unwrap().unwrap(),
                () = &mut pause => break,
            };
            if let Some(ingest_response::Message::Burst(order)) = answer.message {
                return order;
            }
        }
    }
}

#[tokio::test]
async fn an_exporters_payload_is_accepted_and_shown() {
    let system = require_tool!("python3");
    let Some(python) = python(&system) else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]).unwrap();
    let now_ns = clock::wall().as_nanos().to_string();
    let said = run(&python, "otlp.py", &[server.address(), "exported", &now_ns]);
    assert_eq!("rejected 0", said.trim());
    assert_eq!(30, total(&server, r#"{service="exported"}"#).await);
}

#[tokio::test]
async fn a_pprof_file_of_another_tool_is_accepted_and_shown() {
    let go = require_tool!("go");
    let curl = require_tool!("curl");
    let dir = TempDir::new().unwrap();
    let program = dir.path().join("work.go");
    fs::write(&program, GO_PROGRAM).unwrap();
    let made = Command::new(&go)
        .args(["run", "work.go"])
        .current_dir(dir.path())
        .env("GOCACHE", dir.path().join("cache"))
        .env("GO111MODULE", "off")
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let server = Server::start(&dir.path().join("data"), &[]).unwrap();
    let now = clock::wall().as_secs();
    let query = format!("name=gone&from={}&until={now}", now - 10);
    upload(&curl, &server, &dir.path().join("cpu.pb.gz"), &query);
    assert!(0 < total(&server, r#"{service="gone"}"#).await);
}

/// Profiles itself while it works.
const GO_PROGRAM: &str = r#"package main

import (
	"os"
	"runtime/pprof"
	"time"
)

func work() (sum int) {
	for end := time.Now().Add(time.Second); time.Now().Before(end); sum++ {
	}
	return
}

func main() {
	file, _ := os.Create("cpu.pb.gz")
	pprof.StartCPUProfile(file)
	work()
	pprof.StopCPUProfile()
	file.Close()
}
"#;
