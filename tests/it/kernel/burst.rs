//! Bursts: a daemon samples more for a while, because someone asked the service for it.

use std::{process::Command, time::Duration};

use anyhow::ensure;
use profiler::clock;
use profiler_tests::{
    harness::{Daemon, Running, Server, product, say, until, workload},
    require_root,
};
use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(90);
/// The daemon's usual rate, and that of the burst.
const USUAL_HZ: u32 = 19;
const BURST_HZ: u32 = 499;
/// Length of the burst, and of a window.
const BURST_S: u32 = 10;
const WINDOW_S: u32 = 5;

/// What `profiler query` prints, as JSON, or why it does not.
fn try_query(server: &Server, arguments: &[&str]) -> anyhow::Result<Value> {
    let mut command = Command::new(product()?);
    command.arg("query").args(arguments);
    command.args(["--json", "--server", &server.url()]);
    let output = command.output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{error}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// What `profiler query` prints, as JSON.
#[track_caller]
fn query(server: &Server, arguments: &[&str]) -> Value {
    try_query(server, arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

/// Name of this host, as the service knows it.
fn host(server: &Server) -> String {
    let hosts = query(server, &["hosts"]);
    hosts["hosts"][0]["host"].as_str().unwrap().to_owned()
}

/// Orders a burst and waits until it is over and stored; gives its number.
#[track_caller]
fn burst(server: &Server, daemon: &Daemon, arguments: &[&str]) -> String {
    let host = host(server);
    let length = format!("{BURST_S}s");
    let mut order = vec!["burst", &host, "--for", &length];
    order.extend(arguments);
    let id = query(server, &order)["id"].to_string();
    let begun = daemon.metric("windows_total");
    // Those of the burst, and one cut at each of its ends.
    let windows = u64::from(BURST_S / WINDOW_S) + 3;
    until("the burst is over", LIMIT, || {
        let is_over = begun + windows <= daemon.metric("windows_total");
        Ok((is_over && daemon.metric("spool_batches") == 0).then_some(()))
    })
    .unwrap();
    id
}

/// A sum of a selection.
#[track_caller]
fn total(server: &Server, selector: &str, more: &[&str]) -> u64 {
    let mut arguments = vec!["top", selector, "--limit", "1"];
    arguments.extend(more);
    query(server, &arguments)["total"].as_u64().unwrap()
}

/// Two programs that use one CPU each: the target has the samples of the burst under its label, the
/// other one is sampled as usual, and time on the CPU stays true for both.
#[test]
fn a_target_is_sampled_more_often_for_a_while() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]).unwrap();
    let start = || {
        let mut split = Command::new(workload("split").unwrap());
        Running::start(split.arg("600")).unwrap()
    };
    let (target, other) = (start(), start());
    let rate = USUAL_HZ.to_string();
    let daemon = Daemon::start(
        &server.url(),
        &dir.path().join("spool"),
        WINDOW_S,
        &["-F", &rate],
    )
    .unwrap();
    daemon.reaches("batches_acknowledged_total", 2).unwrap();
    let pid = target.pid().to_string();
    let rate = BURST_HZ.to_string();
    let before = target.cpu_time().unwrap();
    let id = burst(&server, &daemon, &["--rate", &rate, "--pid", &pid]);

    let used = target.cpu_time().unwrap().saturating_sub(before);
    let of = |pid: u32, burst: &str| format!(r#"{{pid="{pid}", burst="{burst}"}}"#);
    let samples = total(&server, &of(target.pid(), &id), &[]);
    let nanoseconds = total(&server, &of(target.pid(), &id), &["--kind", "cpu"]);
    let outside = total(&server, &of(target.pid(), ""), &[]);
    let others = total(&server, &of(other.pid(), &id), &[]);
    let usual = total(&server, &of(other.pid(), ""), &[]);
    say(&format!(
        "burst {id} on a process: {samples} samples of {nanoseconds} ns; {outside} outside of it; \
         {others} and {usual} of the other process; it used {used:?} until all was stored"
    ));
    assert_eq!(0, others);
    assert!(0 < usual && 0 < outside);
    // It ran before and after the burst, too, while all was stored; so this is a bound from above.
    let used_ns = u64::try_from(used.as_nanos()).unwrap();
    assert!(
        nanoseconds <= used_ns + used_ns / 10,
        "{nanoseconds} of {used_ns} ns"
    );
    assert!(used_ns / 10 <= nanoseconds, "{nanoseconds} of {used_ns} ns");
    let names = query(&server, &["top", &of(target.pid(), &id)]).to_string();
    assert!(names.contains("heavy"), "{names}");
    assert!(daemon.stop().unwrap().success());
}

/// The whole host at a higher rate.
#[test]
fn a_host_is_sampled_more_often_for_a_while() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]).unwrap();
    let mut split = Command::new(workload("split").unwrap());
    let _work = Running::start(split.arg("600")).unwrap();
    let rate = USUAL_HZ.to_string();
    let daemon = Daemon::start(
        &server.url(),
        &dir.path().join("spool"),
        WINDOW_S,
        &["-F", &rate],
    )
    .unwrap();
    daemon.reaches("batches_acknowledged_total", 2).unwrap();
    let rate = BURST_HZ.to_string();
    let id = burst(&server, &daemon, &["--rate", &rate]);
    let selector = format!(r#"{{burst="{id}"}}"#);
    let samples = total(&server, &selector, &[]);
    let nanoseconds = total(&server, &selector, &["--kind", "cpu"]);
    // So much time as samples at that rate stand for, and not that of the usual one.
    let period_ns = (1_000_000_000 + u64::from(BURST_HZ) / 2) / u64::from(BURST_HZ);
    assert_eq!(samples * period_ns, nanoseconds);
    assert!(
        u64::from(BURST_HZ * BURST_S / 4) < samples,
        "{samples} samples"
    );
    say(&format!(
        "burst {id} of the host: {samples} samples, {nanoseconds} ns"
    ));
    assert!(daemon.stop().unwrap().success());
}

/// Two programs that wait, and a daemon that does not look at waits: for a while it does, at those of
/// one of them.
#[test]
fn a_further_signal_of_a_target_is_watched_for_a_while() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]).unwrap();
    let start = || {
        let mut waits = Command::new(workload("waits").unwrap());
        Running::start_silent(waits.arg("600")).unwrap()
    };
    let (target, other) = (start(), start());
    let spool = dir.path().join("spool");
    let daemon = Daemon::start(&server.url(), &spool, WINDOW_S, &["-F", "19"]).unwrap();
    daemon.reaches("batches_acknowledged_total", 2).unwrap();
    let (pid, length) = (target.pid().to_string(), format!("{BURST_S}s"));
    let host = host(&server);
    let mut order = vec!["burst", &host, "--for", &length, "--pid", &pid];
    order.extend(["--signal", "offcpu"]);
    let id = query(&server, &order)["id"].to_string();

    let of = |pid: u32, burst: &str| format!(r#"{{pid="{pid}", burst="{burst}"}}"#);
    let selector = of(target.pid(), &id);
    let waits = ["top", &selector, "--signal", "offcpu", "--limit", "100"];
    let mut seen = (Value::Null, clock::monotonic());
    until("the burst is over", LIMIT, || {
        let now = try_query(&server, &waits).unwrap_or_default();
        if now["total"] != seen.0["total"] {
            seen = (now, clock::monotonic());
        }
        let quiet = clock::monotonic().saturating_sub(seen.1);
        let is_over = Duration::from_secs(2 * u64::from(WINDOW_S)) < quiet;
        Ok((is_over && seen.0["total"].is_u64()).then_some(()))
    })
    .unwrap();

    let rows = seen.0["rows"].as_array().unwrap();
    let waited = |name: &str| {
        let row = rows.iter().find(|row| row["name"] == name);
        row.map_or(0, |row| row["total"].as_u64().unwrap())
    };
    let parts = ["wait_asleep", "wait_for_mutex", "wait_for_pipe"].map(waited);
    let whole: u64 = parts.iter().sum();
    say(&format!("burst {id} of waits: {parts:?} ns"));
    let length_ns = u64::from(BURST_S) * 1_000_000_000;
    assert!(
        (length_ns / 2..length_ns * 5 / 4).contains(&whole),
        "{whole}"
    );
    for (part, percent) in parts.into_iter().zip([60, 30, 10]) {
        assert!((100 * part / whole).abs_diff(percent) <= 5, "{parts:?}");
    }
    let off_cpu = ["--signal", "offcpu"];
    assert_eq!(0, total(&server, &of(other.pid(), &id), &off_cpu));
    assert_eq!(0, total(&server, &of(target.pid(), ""), &off_cpu));
    assert!(daemon.stop().unwrap().success());
}
