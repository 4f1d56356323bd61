//! Tables of memory and system calls that simulated daemons delivered, through the command line.

use std::{process::Command, time::Duration};

use profiler::{
    clock,
    model::{
        Batch, FrameKind, Location, Naming, Pid, ProfileBuilder, Signal, Task, ValueType, Window,
    },
};
use profiler_tests::harness::{Server, fleet::Sender, product};
use serde_json::Value;
use tempfile::TempDir;

/// Windows that are delivered, and their length.
const WINDOWS: u32 = 24;
const WINDOW: Duration = Duration::from_secs(10);
/// A mebibyte.
const MIB: u64 = 1 << 20;

/// Stacks, outermost first, with their values.
type Stacks<'a> = &'a [(&'a str, &'a [u64])];

/// One window of a process of a host.
fn window(signal: Signal, start: Duration, stacks: Stacks<'_>) -> Batch {
    let value_type = |(kind, unit): &(&str, &str)| ValueType {
        kind: (*kind).to_owned(),
        unit: (*unit).to_owned(),
    };
    let types = signal.value_types().iter().map(value_type).collect();
    let mut builder = ProfileBuilder::new(types);
    let task = builder.task(Task {
        pid: Pid(7),
        comm: "shop".to_owned(),
        ..Task::default()
    });
    for (names, values) in stacks {
        let frames = names.split(';').rev().map(|name| {
            let location = Location {
                function: name.to_owned(),
                ..Location::default()
            };
            builder.frame(FrameKind::Native, None, 1, Naming::Named(vec![location]))
        });
        let frames = frames.collect();
        let stack = builder.stack(frames);
        builder.add(task, stack, values);
    }
    let head = builder.head_mut();
    head.host = "one".to_owned();
    head.signal = signal;
    head.window = Window {
        start,
        duration: WINDOW,
    };
    Batch::from_profile(&builder.finish(), 0)
}

/// Four minutes of a program that leaks, with calls that fail.
async fn feed(server: &Server) {
    let start = clock::wall().saturating_sub(WINDOW * (WINDOWS + 1));
    let mut sender = Sender::new(&server.url(), "one", 9);
    for number in 0..WINDOWS {
        let at = start + WINDOW * number;
        let churn = u64::from(number % 3);
        let memory: Stacks<'_> = &[
            ("main;serve;remember;malloc", &[2 * MIB, 8, MIB, 4]),
            (
                "main;serve;scratch;malloc",
                &[(40 + churn) * MIB, 9, (42 - churn) * MIB, 9],
            ),
        ];
        sender.push(window(Signal::Alloc, at, memory));
        let calls: Stacks<'_> = &[
            ("read;ok;1 µs .. 2 µs", &[90, 120_000]),
            ("read;EAGAIN;500 ns .. 1 µs", &[10, 7_000]),
        ];
        sender.push(window(Signal::SyscallCounts, at, calls));
    }
    sender.deliver().await.unwrap();
}

/// What `profiler query` prints, and whether it succeeded.
fn query(server: &Server, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(product().unwrap());
    command.arg("query").args(arguments);
    let output = command.args(["--server", &server.url()]).output().unwrap();
    let said = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_tell_what_was_delivered() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]).unwrap();
    feed(&server).await;
    let json = |arguments: &[&str]| -> Value {
        let (is_good, text) = query(&server, arguments);
        assert!(is_good, "{text}");
        serde_json::from_str(&text).unwrap()
    };
    let calls = json(&["syscalls", "--json"]);
    let read = &calls["rows"][0];
    assert_eq!(
        (1, "shop"),
        (
            calls["rows_total"].as_u64().unwrap(),
            read["labels"]["comm"].as_str().unwrap()
        )
    );
    assert_eq!(
        (2_400, 240),
        (
            read["times"]["count"].as_u64().unwrap(),
            read["errors"]["EAGAIN"].as_u64().unwrap()
        )
    );
    assert_eq!(
        (2_000, 2_000),
        (
            read["times"]["half_at_most_ns"].as_u64().unwrap(),
            read["times"]["p99_at_most_ns"].as_u64().unwrap()
        )
    );
    let heap = json(&["heap", "--json", "--by", "host,pid"]);
    let remember = heap["rows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["function"] == "remember");
    let remember = remember.unwrap();
    assert_eq!("7", remember["labels"]["pid"]);
    assert_eq!(
        [48 * MIB, 24 * MIB],
        ["allocated_bytes", "live_bytes"].map(|name| remember[name].as_u64().unwrap())
    );
    let leaks = json(&["leaks", "--json"]);
    let rows = leaks["rows"].as_array().unwrap();
    assert_eq!(
        (1, "remember"),
        (rows.len(), rows[0]["heap"]["function"].as_str().unwrap()),
        "{leaks}"
    );
    // A mebibyte in ten seconds.
    let hourly = rows[0]["bytes_per_hour"].as_f64().unwrap();
    assert!(
        (hourly / (360.0 * 1_048_576.0) - 1.0).abs() < 0.01,
        "{hourly}"
    );
    let (is_good, text) = query(&server, &["leaks"]);
    assert!(
        is_good && text.contains("remember < serve < main") && text.contains("quality:"),
        "{text}"
    );
    let (is_good, text) = query(&server, &["tcp"]);
    assert!(!is_good && text.contains("-e cpu,tcp"), "{text}");
}
