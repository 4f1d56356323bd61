//! Alerts from data that arrives, told to a receiver on loopback.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};

use super::{Alerting, keep::Silence, machine::State};
use crate::{
    model::{Batch, FrameKind, Location, Naming, Pid, ProfileBuilder, SenderId, Task, ValueType},
    service::{
        insight::{Budget, Rules},
        query::{Guide, Reader},
        store::{MemoryStore, Store},
    },
};

/// Time before the first window.
const START: Duration = Duration::from_secs(1_700_000_000);
/// Longest time that a message takes on loopback.
const PATIENCE: Duration = Duration::from_secs(20);

/// Takes requests and answers with these statuses in turn, the last one for good. Hands over the
/// path and the body of each.
async fn receiver(statuses: &'static [u16]) -> (String, mpsc::Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = mpsc::channel(16);
    tokio::spawn(async move {
        let mut turn = 0;
        loop {
            let (mut stream, _from) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            let body = loop {
                let mut part = [0; 4096];
                let count = stream.read(&mut part).await.unwrap();
                bytes.extend_from_slice(&part[..count]);
                let text = String::from_utf8_lossy(&bytes);
                if let Some((_head, body)) = text.split_once("\r\n\r\n")
                    && let Ok(body) = serde_json::from_str(body)
                {
                    break body;
                }
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let path = text.split(' ').nth(1).unwrap().to_owned();
            let status = statuses[turn.min(statuses.len() - 1)];
            turn += 1;
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            sender.send((path, body)).await.unwrap();
        }
    });
    (url, requests)
}

/// A limit on the share of `hot`, told to a receiver.
fn guide(kind: &str, url: &str) -> Arc<Guide> {
    let budget = format!(
        "window = \"30s\"\n[[limit]]\nname = \"hot stays small\"\nmeasure = \"cpu_share\"\n\
         function = \"hot\"\nat_most = \"20%\"\nfor = \"10s\"\nclear_after = \"20s\"\n\
         [[receiver]]\nname = \"r\"\n{kind} = \"{url}\"\n"
    );
    Arc::new(Guide {
        rules: Rules::default(),
        budget: Some(Budget::read(&budget).unwrap()),
    })
}

/// A batch of ten seconds with so many samples in one function.
fn batch(name: &str, samples: u64, start: Duration) -> Batch {
    let mut builder = ProfileBuilder::new(vec![ValueType {
        kind: "samples".to_owned(),
        unit: "count".to_owned(),
    }]);
    let naming = Naming::Named(vec![Location {
        function: name.to_owned(),
        ..Location::default()
    }]);
    let frame = builder.frame(FrameKind::Native, None, 0x10, naming);
    let stack = builder.stack(vec![frame]);
    let task = builder.task(Task {
        pid: Pid(1),
        comm: "app".to_owned(),
        ..Task::default()
    });
    builder.add(task, stack, &[samples]);
    let head = builder.head_mut();
    head.window.start = start;
    head.window.duration = Duration::from_secs(10);
    Batch::from_profile(&builder.finish(), 10_000_000)
}

/// A store to which windows of ten seconds come.
struct World {
    store: Arc<MemoryStore>,
    reader: Reader,
    sequence: u64,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::default());
        Self {
            reader: Reader::new(Arc::clone(&store) as Arc<dyn Store>),
            store,
            sequence: 0,
        }
    }

    /// A window that begins at a second and in which `hot` takes so many of a thousand samples.
    fn window(&mut self, second: u64, hot: u64) {
        for (name, samples) in [("hot", hot), ("rest", 1_000 - hot)] {
            let batch = batch(name, samples, START + Duration::from_secs(second));
            self.sequence += 1;
            self.store
                .append(SenderId(1), self.sequence, batch)
                .unwrap();
        }
    }
}

/// The state of the one alert.
fn state(alerting: &Alerting) -> State {
    alerting.0.keep.standing("hot stays small").unwrap().state
}

/// Looks at a second.
fn look(alerting: &Alerting, world: &World, second: u64) {
    alerting
        .look(&world.reader, START + Duration::from_secs(second))
        .unwrap();
}

/// The next message.
async fn told(requests: &mut mpsc::Receiver<(String, Value)>) -> (String, Value) {
    let told = tokio::time::timeout(PATIENCE, requests.recv()).await;
    told.expect("a message in time").unwrap()
}

#[tokio::test]
async fn an_alert_fires_within_thirty_seconds_and_clears_and_survives_a_restart() {
    let (url, mut requests) = receiver(&[200]).await;
    let dir = tempfile::tempdir().unwrap();
    let guide = guide("webhook", &url);
    let alerting = Alerting::open(&guide, dir.path()).unwrap();
    let mut world = World::new();
    world.window(0, 50);
    look(&alerting, &world, 10);
    assert_eq!(State::Ok, state(&alerting));
    // The breach reaches the service at second twenty.
    world.window(10, 600);
    for second in [20, 25, 30] {
        look(&alerting, &world, second);
    }
    assert_eq!(State::Firing, state(&alerting));
    let (_path, message) = told(&mut requests).await;
    assert_eq!("firing", message["status"]);
    assert_eq!("2023-11-14T22:13:50.000Z", message["fired_at"]);
    drop(alerting);
    // After a restart it still fires, and is not told twice.
    let alerting = Alerting::open(&guide, dir.path()).unwrap();
    assert_eq!(State::Firing, state(&alerting));
    for second in (40..100).step_by(10) {
        world.window(second, 50);
        look(&alerting, &world, second + 10);
    }
    assert_eq!(State::Ok, state(&alerting));
    let (_path, message) = told(&mut requests).await;
    assert_eq!("resolved", message["status"]);
    let all = (Duration::ZERO, Duration::MAX);
    let events = alerting.0.keep.events(all, "", 100).unwrap();
    let states: Vec<&str> = events
        .iter()
        .rev()
        .map(|event| event.after.as_str())
        .collect();
    assert_eq!(vec!["pending", "firing", "clearing", "ok"], states);
}

#[tokio::test]
async fn a_limit_on_regressions_is_looked_at_once_a_minute() {
    let text = "[[limit]]\nname = \"slower\"\nmeasure = \"regressions\"";
    let guide = Arc::new(Guide {
        rules: Rules::default(),
        budget: Some(Budget::read(text).unwrap()),
    });
    let dir = tempfile::tempdir().unwrap();
    let alerting = Alerting::open(&guide, dir.path()).unwrap();
    let world = World::new();
    let mut looked = Vec::new();
    for second in [0, 5, 55, 60, 65, 120] {
        look(&alerting, &world, second);
        let looks = alerting.0.looks.lock().unwrap();
        looked.push(looks["slower"].1.saturating_sub(START).as_secs());
    }
    assert_eq!(vec![0, 0, 0, 60, 60, 120], looked);
}

#[tokio::test]
async fn a_receiver_that_fails_is_asked_again_and_alertmanager_is_told_its_way() {
    let (url, mut requests) = receiver(&[503, 503, 200]).await;
    let dir = tempfile::tempdir().unwrap();
    let alerting = Alerting::open(&guide("alertmanager", &url), dir.path()).unwrap();
    let mut world = World::new();
    world.window(0, 600);
    look(&alerting, &world, 10);
    look(&alerting, &world, 20);
    for _try in 0..3 {
        let (path, message) = told(&mut requests).await;
        assert_eq!("/api/v2/alerts", path);
        assert_eq!("hot stays small", message[0]["labels"]["alertname"]);
    }
    // It is told again before it would forget.
    for second in (20..100).step_by(10) {
        world.window(second, 600);
        look(&alerting, &world, second + 10);
    }
    told(&mut requests).await;
    assert_eq!(0, alerting.0.deliveries[0].record().failed);
}

#[tokio::test]
async fn a_silent_alert_is_told_when_the_silence_ends() {
    let (url, mut requests) = receiver(&[200]).await;
    let dir = tempfile::tempdir().unwrap();
    let alerting = Alerting::open(&guide("webhook", &url), dir.path()).unwrap();
    let silence = Silence {
        pattern: "hot*".to_owned(),
        until: START + Duration::from_secs(45),
        ..Silence::default()
    };
    alerting.0.keep.silence(&silence).unwrap();
    let mut world = World::new();
    for second in (0..50).step_by(10) {
        world.window(second, 600);
        look(&alerting, &world, second + 10);
        let is_told = alerting.0.keep.standing("hot stays small").unwrap().is_told;
        assert_eq!(45 <= second + 10, is_told, "{second}");
    }
    let (_path, message) = told(&mut requests).await;
    assert_eq!("2023-11-14T22:14:10.000Z", message["at"]);
}
