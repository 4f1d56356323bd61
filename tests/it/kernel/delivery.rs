//! From a real daemon to a real service, while either of them dies, is away, or has no room.

use std::{
    env,
    net::SocketAddr,
    path::Path,
    process::Command,
    thread::{self, JoinHandle},
    time::Duration,
};

use profiler::wire::v1::generated::{WatchRequest, query_service_client::QueryServiceClient};
use profiler_tests::{
    harness::{
        Daemon, Running, Server, SmallDisk, free_address, http_get, product, say, until, workload,
    },
    require_root,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

use crate::service::totals::{only_host, total};

/// Longest wait for anything that the daemon or the service does by itself.
const LIMIT: Duration = Duration::from_secs(90);
/// Seconds of a window.
const WINDOW_S: u32 = 1;
/// How long the service is away, unless the variable says another number of seconds.
const AWAY_S: u64 = 60;
const AWAY_VARIABLE: &str = "PROFILER_AWAY_S";

/// A service on an address that it can be found at again.
fn serve(data: &Path, listen: SocketAddr) -> Server {
    let mut command = Command::new(product().unwrap());
    command.args(["serve", "--listen", &listen.to_string(), "--data"]);
    Server::start_command(command.arg(data)).unwrap()
}

/// A program that is always there to be sampled.
fn work() -> Running {
    let mut split = Command::new(workload("split").unwrap());
    Running::start(split.arg("3600")).unwrap()
}

/// The numbers of the host and the sum of its samples, as the service has them.
fn stored(runtime: &Runtime, server: &Server) -> (u64, u64, u64) {
    let host = runtime.block_on(only_host(server));
    let lost = host.quality.unwrap_or_default().windows_lost;
    (host.windows, lost, runtime.block_on(total(server, "")))
}

/// Killed with windows in its spool and one in memory, the daemon delivers the former, each once, and
/// counts the latter.
#[test]
fn a_killed_daemon_loses_the_window_in_memory_and_says_so() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let (data, spool) = (dir.path().join("data"), dir.path().join("spool"));
    let runtime = Runtime::new().unwrap();
    let (listen, _work) = (free_address().unwrap(), work());
    let url = format!("http://{listen}");
    let server = serve(&data, listen);
    let daemon = Daemon::start(&url, &spool, WINDOW_S, &[]).unwrap();
    daemon.reaches("batches_acknowledged_total", 3).unwrap();
    server.kill().unwrap();
    let sampled = daemon.metric("windows_total");
    daemon.reaches("windows_total", sampled + 3).unwrap();
    daemon.kill().unwrap();

    let left = Daemon::windows_in(&spool).unwrap();
    let made = left.last().unwrap().sequence;
    let server = serve(&data, listen);
    let (durable, _lost, before) = stored(&runtime, &server);
    assert!(3 <= durable && durable < made, "{durable} of {made}");
    let daemon = Daemon::start(&url, &spool, WINDOW_S, &[]).unwrap();
    daemon.reaches("windows_total", 2).unwrap();
    assert!(daemon.stop().unwrap().success());

    let all = Daemon::windows_in(&spool).unwrap();
    let delivered = all.last().unwrap().sequence;
    let sequences = all.iter().map(|window| window.sequence);
    let first = all.first().unwrap().sequence;
    assert!(sequences.eq(first..=delivered), "a hole in the spool");
    let shipped = all.iter().filter(|window| durable < window.sequence);
    let shipped: u64 = shipped.map(|window| window.quality.samples).sum();
    let kept = stored(&runtime, &server);
    say(&format!(
        "daemon killed: {made} windows before, {durable} durable then; {delivered} in all, {} lost",
        kept.1
    ));
    // On a host that is too busy for names, windows are lost for that, too, and say so.
    let told = all.iter().map(|window| window.quality.windows_lost).sum();
    let after_the_kill = all.iter().find(|window| made < window.sequence).unwrap();
    assert!(
        1 <= after_the_kill.quality.windows_lost,
        "{after_the_kill:?}"
    );
    assert_eq!((delivered, told, before + shipped), kept);
}

/// Starts of the windows that a service takes from now on, in that order, with the number that the
/// watcher missed; until the service ends.
fn watch_order(server: &Server) -> JoinHandle<(Vec<u64>, u64)> {
    let url = server.url();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let watching = thread::spawn(move || {
        Runtime::new().unwrap().block_on(async {
            let channel = Channel::from_shared(url).unwrap().connect().await;
            let mut client = QueryServiceClient::new(channel.unwrap());
            let answer = client.watch(WatchRequest::default()).await;
            let mut windows = answer.unwrap().into_inner();
            ready.send(()).unwrap();
            let (mut starts, mut skipped) = (Vec::new(), 0);
            while let Ok(Some(window)) = windows.message().await {
                starts.push(window.start_ns);
                skipped += window.skipped;
            }
            (starts, skipped)
        })
    });
    is_ready.recv().unwrap();
    watching
}

/// While the service is away windows wait in the spool; when it is back they come in order, and it
/// has as many windows and samples as the daemon says that it took.
#[test]
fn what_waited_for_the_service_comes_in_order_and_complete() {
    let _turn = require_root!();
    let away_s = env::var(AWAY_VARIABLE).ok();
    let away_s: u64 = away_s.map_or(AWAY_S, |text| text.parse().unwrap());
    let dir = TempDir::new().unwrap();
    let (data, spool) = (dir.path().join("data"), dir.path().join("spool"));
    let runtime = Runtime::new().unwrap();
    let (listen, _work) = (free_address().unwrap(), work());
    // As in production when it is long: 10 s.
    let window_s = if away_s < 300 { 2 } else { 10 };
    let server = serve(&data, listen);
    let daemon = Daemon::start(&server.url(), &spool, window_s, &[]).unwrap();
    daemon.reaches("batches_acknowledged_total", 2).unwrap();
    server.kill().unwrap();
    let windows_away = away_s / u64::from(window_s);
    let patience = LIMIT + Duration::from_secs(away_s);
    until("the spool has filled", patience, || {
        Ok((windows_away <= daemon.metric("spool_batches")).then_some(()))
    })
    .unwrap();
    let (batches, bytes) = (
        daemon.metric("spool_batches"),
        daemon.metric("spool_size_bytes"),
    );
    let server = serve(&data, listen);
    let watching = watch_order(&server);
    let (windows, samples) = until("the service has what was sampled", patience, || {
        let sampled = (
            daemon.metric("windows_total"),
            daemon.metric("samples_total"),
        );
        let (windows, _lost, total) = stored(&runtime, &server);
        let is_all = sampled == (windows, total) && daemon.metric("spool_batches") == 0;
        Ok(is_all.then_some(sampled))
    })
    .unwrap();
    assert_eq!(0, daemon.metric("windows_lost_total"));
    let took = daemon.stop().unwrap();
    assert!(took.success());
    server.stop().unwrap();
    let (starts, skipped) = watching.join().unwrap();
    say(&format!(
        "service away for {away_s} s: {batches} windows, {bytes} bytes in the spool; {} seen to come \
         after, {skipped} not looked at; {windows} windows with {samples} samples on both sides",
        starts.len()
    ));
    assert!(starts.is_sorted_by(|a, b| a < b), "{starts:?}");
    assert!(windows_away <= starts.len() as u64 + skipped, "{starts:?}");
}

/// The spool's disk is full: what cannot be kept is counted, health says why; with room again all
/// goes on without help, and what arrives says how much does not.
#[test]
fn a_daemon_without_room_drops_counts_and_recovers() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let small = dir.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let mut disk = SmallDisk::mount(&small, "4m").unwrap();
    let (listen, _work) = (free_address().unwrap(), work());
    let url = format!("http://{listen}");
    let daemon = Daemon::start(&url, &small.join("spool"), WINDOW_S, &[]).unwrap();
    daemon.reaches("windows_total", 2).unwrap();
    let full = |daemon: &Daemon| daemon.ask("/healthz").contains("is the disk full?");
    assert!(!full(&daemon));
    let lost = until("windows are lost", LIMIT, || {
        // Again and again: dropping the oldest windows makes room.
        disk.fill()?;
        let lost = daemon.metric("windows_lost_total");
        Ok((3 <= lost && full(&daemon)).then_some(lost))
    })
    .unwrap();
    disk.empty().unwrap();
    until("health is good again", LIMIT, || {
        Ok((!full(&daemon)).then_some(()))
    })
    .unwrap();
    let server = serve(&data, listen);
    daemon.reaches("batches_acknowledged_total", 2).unwrap();
    let runtime = Runtime::new().unwrap();
    let (windows, told) = until("every window is there or lost", LIMIT, || {
        let sampled = daemon.metric("windows_total");
        let lost = daemon.metric("windows_lost_total");
        let (windows, told, _samples) = stored(&runtime, &server);
        let is_all = sampled == windows + lost && daemon.metric("spool_batches") == 0;
        Ok((is_all && lost <= told).then_some((windows, told)))
    })
    .unwrap();
    say(&format!(
        "spool without room: {lost} lost while it was full; {windows} windows arrived and tell of {told}"
    ));
    assert!(lost <= told);
    assert!(daemon.stop().unwrap().success());
}

/// The service's disk is full: daemons wait, health says why; with room again all arrives by itself.
#[test]
fn a_service_without_room_makes_daemons_wait_and_recovers() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let small = dir.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let mut disk = SmallDisk::mount(&small, "8m").unwrap();
    let (listen, _work) = (free_address().unwrap(), work());
    let server = serve(&small.join("data"), listen);
    let spool = dir.path().join("spool");
    let daemon = Daemon::start(&server.url(), &spool, WINDOW_S, &[]).unwrap();
    daemon.reaches("batches_acknowledged_total", 2).unwrap();
    let health = || http_get(listen, "/healthz");
    assert!(health().contains(r#""status":"ok""#), "{}", health());
    until("the service says that it is full", LIMIT, || {
        disk.fill()?;
        Ok(health().contains("store_full").then_some(()))
    })
    .unwrap();
    let alarm = health();
    assert!(alarm.contains(r#""status":"degraded""#), "{alarm}");
    let metrics = http_get(listen, "/metrics");
    let refused = metrics
        .lines()
        .find_map(|line| line.strip_prefix("profiler_ingest_store_full_total "));
    assert!(refused.is_some_and(|count| count != "0"), "{refused:?}");
    let waiting = daemon.reaches("spool_batches", 3).unwrap();
    disk.empty().unwrap();
    let runtime = Runtime::new().unwrap();
    let (windows, samples) = until("the service has what was sampled", LIMIT, || {
        let sampled = (
            daemon.metric("windows_total"),
            daemon.metric("samples_total"),
        );
        let (windows, _lost, total) = stored(&runtime, &server);
        Ok((sampled == (windows, total)).then_some(sampled))
    })
    .unwrap();
    until("the alarm is over", LIMIT, || {
        Ok(health().contains(r#""status":"ok""#).then_some(()))
    })
    .unwrap();
    assert_eq!(0, daemon.metric("windows_lost_total"));
    say(&format!(
        "service without room: {waiting} windows waited; {windows} with {samples} samples arrived"
    ));
    assert!(daemon.stop().unwrap().success());
}
