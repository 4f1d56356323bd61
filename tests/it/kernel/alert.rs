//! From a busy loop to a message at a webhook, and back: through the kernel, the store and the budget.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use profiler::clock;
use profiler_tests::{
    harness::{Running, Server, say, until, workload},
    require_root,
};
use serde_json::Value;
use tempfile::TempDir;

use super::up::{query, up};

/// What is promised: from the moment at which a breach reaches the service to its alert.
const FIRES_MAX: Duration = Duration::from_secs(30);
/// Longest wait for the first window: pauses between the looks, each of which takes as long or longer.
const STORED_LIMIT: Duration = Duration::from_secs(30);
/// Longest wait for a message: the windows with the loop leave the span that is looked at, which
/// takes as long as that span, and the alert is over half a minute later.
const LIMIT: Duration = Duration::from_secs(180);
/// A tenth of a CPU for a function, and otherwise what holds when nothing else is said.
const BUDGET: &str = "\
[[limit]]
name = \"checksums are cheap\"
measure = \"cores\"
function = \"checksum\"
at_most = \"0.1\"

[[receiver]]
name = \"test\"
webhook = \"http://ADDRESS/hook\"
";

/// A webhook, and the messages that it takes.
fn webhook() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (send, messages) = channel();
    // Ends with the test: nobody takes messages any more.
    thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            if take(connection, &send).is_err() {
                return;
            }
        }
    });
    (address, messages)
}

/// Takes one message and says that it was taken.
fn take(connection: TcpStream, messages: &Sender<Value>) -> anyhow::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut size = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(length) = line.strip_prefix("content-length:") {
            size = length.trim().parse()?;
        }
    }
    let mut body = vec![0; size];
    reader.read_exact(&mut body)?;
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    reader.get_mut().write_all(answer.as_bytes())?;
    messages.send(serde_json::from_slice(&body)?)?;
    Ok(())
}

/// States of the history, the first one first.
fn history(server: &Server) -> Vec<String> {
    let text = query(server, &["alerts", "--history", "--last", "1h", "--json"]);
    let answer: Value = serde_json::from_str(&text).unwrap();
    let events = answer["events"].as_array().unwrap().iter().rev();
    let states = events.map(|event| event["to"].as_str().unwrap().to_owned());
    states.collect()
}

/// Waits for a message, and says how long that took.
#[track_caller]
fn told(messages: &Receiver<Value>, status: &str) -> Duration {
    let began = clock::monotonic();
    let message = messages.recv_timeout(LIMIT).expect("a message");
    assert_eq!(status, message["status"], "{message}");
    assert_eq!("checksums are cheap", message["alert"]);
    clock::monotonic().saturating_sub(began)
}

#[test]
fn an_alert_fires_within_thirty_seconds_of_the_breach_and_clears() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let (address, messages) = webhook();
    let budget = dir.path().join("budget.toml");
    fs::write(&budget, BUDGET.replace("ADDRESS", &address)).unwrap();
    let budget = ["--budget", budget.to_str().unwrap()];
    let up = up(&dir.path().join("data"), &budget);
    let sick = workload("sick").unwrap();
    let busy = Running::start(Command::new(sick).args(["600", "hot_function"])).unwrap();
    until("the breach reaches the service", STORED_LIMIT, || {
        let stacks = query(&up, &["flamegraph", "--format", "collapsed"]);
        Ok(stacks.contains("checksum").then_some(()))
    })
    .unwrap();
    let fired = told(&messages, "firing");
    drop(busy);
    let cleared = told(&messages, "resolved");
    say(&format!(
        "alert: fired {fired:?} after the breach was stored, over {cleared:?} after its cause"
    ));
    assert!(fired <= FIRES_MAX, "{fired:?}");
    assert_eq!(["pending", "firing", "clearing", "ok"], *history(&up));
    assert!(messages.try_recv().is_err(), "told once each");
}
