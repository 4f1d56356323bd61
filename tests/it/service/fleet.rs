//! Many daemons at once.

use std::{fs, sync::Arc, time::Duration};

use profiler::clock;
use profiler_tests::harness::{
    Server,
    fleet::{Capture, FleetShape, Sender, SimulatedHost},
    say,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::totals::total;

/// Daemons at the same time.
const DAEMONS: u32 = 1_000;
/// Windows that each delivers at once: a minute of work in much less time.
const WINDOWS: u32 = 6;
/// Most memory that the service may use for all of them.
const MEMORY_MIB_MAX: u64 = 1_024;

/// High-water mark of the memory of a process.
fn peak_memory_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes / 1024
}

/// Delivers windows of one host, however often the server wants it to try again.
async fn daemon(capture: Arc<Capture>, shape: FleetShape, number: u32, url: String) -> Sender {
    let epoch = clock::wall().saturating_sub(Duration::from_secs(600));
    let mut host = SimulatedHost::new(capture, shape, number);
    let mut sender = Sender::new(&url, &host.name(), number);
    for window in 0..WINDOWS {
        sender.push(host.batch(window, epoch));
    }
    for _ in 0..20 {
        if sender.deliver().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    sender
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_daemons_at_once_lose_nothing_and_memory_is_bounded() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]).unwrap();
    let capture = Arc::new(Capture::build().unwrap());
    let shape = FleetShape {
        samples: 200,
        variants: 2,
        ..FleetShape::default()
    };
    let mut daemons = JoinSet::new();
    for number in 0..DAEMONS {
        daemons.spawn(daemon(Arc::clone(&capture), shape, number, server.url()));
    }
    let senders = daemons.join_all().await;
    let acknowledged: u64 = senders.iter().map(|sender| sender.acknowledged).sum();
    let slow_downs: u64 = senders.iter().map(|sender| sender.slow_downs).sum();
    let mut latencies: Vec<Duration> = senders.into_iter().flat_map(|s| s.latencies).collect();
    latencies.sort_unstable();
    let at = |share: usize| latencies[(latencies.len() - 1) * share / 100];
    let memory_mib = peak_memory_mib(server.pid());
    say(&format!(
        "{DAEMONS} daemons: {acknowledged} samples, acknowledged after {:?} (half), {:?} (95 %); \
         {slow_downs} times asked to wait; {memory_mib} MiB at most",
        at(50),
        at(95)
    ));
    let pushed = u64::from(DAEMONS * WINDOWS * shape.samples);
    assert_eq!(pushed, acknowledged);
    assert_eq!(pushed, total(&server, "").await);
    assert!(memory_mib <= MEMORY_MIB_MAX, "{memory_mib} MiB");
}
