//! TCP connections: how long programs wait for them, and for whom.

use std::process::Command;

use profiler_tests::{
    harness::{Outcome, Record, Running, workload},
    require_root,
};

use super::rows::{Row, rows, sum};

/// Largest relative error of a time.
const ERROR_MAX: f64 = 0.05;
/// Least share of the time whose stacks must be complete.
const COMPLETE_MIN: f64 = 0.97;
/// Places of the values of a row.
const EVENTS: usize = 0;
const TIME: usize = 1;
const BYTES: usize = 2;

/// A recording of the workload.
#[track_caller]
fn record(event: &str, arguments: &[&str]) -> Outcome {
    let program = Record::program(workload("talk").unwrap()).unlimited();
    let record = program.option("-e").option(event);
    let record = arguments.iter().fold(record, Record::argument);
    let outcome = record.run().unwrap();
    assert_eq!(Some(0), outcome.ended.code(), "{}", outcome.ended.stderr);
    assert_eq!(0, outcome.profile.quality.lost_total());
    outcome
}

/// What the workload printed: a port and microseconds, for each server.
fn printed(outcome: &Outcome) -> Vec<(String, u64)> {
    let lines = outcome.ended.stdout.lines();
    lines
        .map(|line| {
            let (port, us) = line.split_once(' ').unwrap();
            (port.to_owned(), us.parse().unwrap())
        })
        .collect()
}

/// That a time is the truth, nearly.
#[track_caller]
#[expect(clippy::cast_precision_loss, reason = "seconds, in microseconds")]
fn check_close(what: &str, truth: u64, found: u64) {
    let error = (found as f64 - truth as f64).abs() / truth as f64;
    assert!(error <= ERROR_MAX, "{what}: {found} instead of {truth}");
}

/// Two servers on a loopback address, one of which takes ten times as long: client and server side,
/// times, numbers and bytes of each.
#[track_caller]
fn check_two_servers(address: &str, shown: &str, arguments: &[&str]) {
    let outcome = record("tcp_counts", arguments);
    let rows = rows(&outcome.profile, "talk");
    let servers = printed(&outcome);
    assert_eq!(2, servers.len());
    for (delay_us, (port, waited_us)) in [2_000, 20_000].into_iter().zip(servers) {
        let far = format!("{shown}:{port}");
        let client = |measure, value| sum(&rows, &[&far, "client", measure], value);
        let side = format!("server :{port}");
        let server = |measure, value| sum(&rows, &[address, &side, measure], value);
        assert_eq!(1, client("connect", EVENTS));
        assert_eq!(1, server("accept_queue", EVENTS));
        assert_eq!(
            [100, 100],
            [client("first_byte", EVENTS), server("first_byte", EVENTS)]
        );
        check_close("client", waited_us, client("first_byte", TIME) / 1_000);
        let answered_us = server("first_byte", TIME) / 1_000;
        assert!(
            (100 * delay_us..waited_us).contains(&answered_us),
            "{answered_us}"
        );
        assert_eq!(
            [700, 600],
            [client("bytes_sent", BYTES), client("bytes_received", BYTES)]
        );
        assert_eq!(
            [600, 700],
            [server("bytes_sent", BYTES), server("bytes_received", BYTES)]
        );
        assert_eq!(100, client("rtt", EVENTS));
    }
}

#[test]
fn servers_that_take_longer_are_told_apart() {
    let _turn = require_root!();
    check_two_servers("127.0.0.1", "127.0.0.1", &["slow"]);
}

#[test]
fn ipv6_is_no_different() {
    let _turn = require_root!();
    check_two_servers("::1", "[::1]", &["slow", "6"]);
}

/// The stack of the code that waited for the answer, with the far end at its inner end.
#[test]
fn waits_for_answers_lead_to_the_code_that_asked() {
    let _turn = require_root!();
    let outcome = record("tcp", &["slow"]);
    let own = outcome.collapsed.of_comm("talk");
    for (port, waited_us) in printed(&outcome) {
        let far_end = format!("127.0.0.1:{port}");
        let asked = own.select(|stack| {
            stack.count("ask") == 1
                && stack
                    .frames
                    .ends_with(&["first_byte".into(), "client".into(), far_end.clone()])
        });
        check_close(&far_end, waited_us, asked.total());
        // Few waits: one that began before the tables were there weighs more than a few percent.
        assert!(0.9 <= asked.share(|stack| stack.count("main") == 1));
    }
    let answered = outcome.collapsed.of_comm("server").with("answer");
    assert!(0 < answered.total(), "{}", outcome.collapsed.heaviest(10));
    let share = outcome.user_complete_share(|task| task.comm == "talk" || task.comm == "server");
    assert!(COMPLETE_MIN <= share, "{share} complete");
}

#[test]
fn every_short_connection_is_counted() {
    let _turn = require_root!();
    let outcome = record("tcp_counts", &["many"]);
    let rows = rows(&outcome.profile, "talk");
    let [(port, _waited_us)] = &printed(&outcome)[..] else {
        panic!("{}", outcome.ended.stdout);
    };
    let far = format!("127.0.0.1:{port}");
    let side = format!("server :{port}");
    for measure in ["connect", "first_byte", "bytes_sent", "bytes_received"] {
        assert_eq!(
            2_000,
            sum(&rows, &[&far, "client", measure], EVENTS),
            "{measure}"
        );
    }
    for measure in ["accept_queue", "first_byte", "bytes_sent", "bytes_received"] {
        let events = sum(&rows, &["127.0.0.1", &side, measure], EVENTS);
        assert_eq!(2_000, events, "{measure}");
    }
    assert_eq!(14_000, sum(&rows, &[&far, "client", "bytes_sent"], BYTES));
}

#[test]
fn connections_that_are_refused_are_counted_as_such() {
    let _turn = require_root!();
    let outcome = record("tcp_counts", &["refused"]);
    let rows = rows(&outcome.profile, "talk");
    let far = format!("127.0.0.1:{}", printed(&outcome)[0].0);
    assert_eq!(50, sum(&rows, &[&far, "client", "connect_refused"], EVENTS));
    assert_eq!(
        50,
        sum(&rows, &[&far, "client"], EVENTS),
        "and nothing else"
    );
}

#[test]
fn a_server_that_accepts_late_shows_its_queue() {
    let _turn = require_root!();
    let outcome = record("tcp_counts", &["queue"]);
    let rows = rows(&outcome.profile, "talk");
    let (port, waited_us) = &printed(&outcome)[0];
    let side = format!("server :{port}");
    let queue = |value| sum(&rows, &["127.0.0.1", &side, "accept_queue"], value);
    assert_eq!(20, queue(EVENTS));
    check_close("queue", *waited_us, queue(TIME) / 1_000);
}

/// A far host behind a router that drops what its short queue cannot hold: two network namespaces,
/// removed at the end.
pub(super) struct Network;

impl Network {
    /// The namespace of the far host, and its address.
    pub(super) const FAR: &'static str = "profiler-far";
    pub(super) const ADDRESS: &'static str = "10.231.8.2";
    /// How it is made: arguments of `ip`.
    const STEPS: &'static [&'static str] = &[
        "netns add profiler-router",
        "netns add profiler-far",
        "link add prof-near type veth peer name prof-in",
        "link set prof-in netns profiler-router",
        "-n profiler-router link add prof-out type veth peer name prof-end netns profiler-far",
        "addr add 10.231.7.1/24 dev prof-near",
        "link set prof-near up",
        "-n profiler-router addr add 10.231.7.2/24 dev prof-in",
        "-n profiler-router link set prof-in up",
        "-n profiler-router addr add 10.231.8.1/24 dev prof-out",
        "-n profiler-router link set prof-out up",
        "-n profiler-far addr add 10.231.8.2/24 dev prof-end",
        "-n profiler-far link set prof-end up",
        "-n profiler-far route add default via 10.231.8.1",
        "route add 10.231.8.0/24 via 10.231.7.2",
        "netns exec profiler-router sysctl -qw net.ipv4.ip_forward=1",
        "netns exec profiler-router tc qdisc add dev prof-out root tbf rate 50mbit burst 16kb limit 16kb",
    ];

    /// Makes it; `None` where the kernel or the machine lacks something.
    pub(super) fn lossy() -> Option<Self> {
        drop(Self);
        let network = Self;
        let all_done = Self::STEPS.iter().all(|step| ip(step));
        all_done.then_some(network)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for step in [
            "link del prof-near",
            "netns del profiler-router",
            "netns del profiler-far",
        ] {
            ip(step);
        }
    }
}

/// Whether `ip` does what it is told.
fn ip(arguments: &str) -> bool {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    output.is_ok_and(|output| output.status.success())
}

/// A router that drops packets: what is sent again is counted with the far end.
#[test]
fn what_is_sent_again_is_counted() {
    let _turn = require_root!();
    let Some(_network) = Network::lossy() else {
        eprintln!("SKIPPED: no network namespaces, or no token bucket filter here");
        return;
    };
    let mut serve = Command::new("ip");
    let talk = workload("talk").unwrap();
    let serve = serve.args(["netns", "exec", Network::FAR]).arg(talk);
    let _serving = Running::start(serve.args(["serve", "7999"])).unwrap();
    let outcome = record("tcp_counts", &[Network::ADDRESS, "7999", "4096000"]);
    let rows: Vec<Row> = rows(&outcome.profile, "talk");
    let far = format!("{}:7999", Network::ADDRESS);
    let client = |measure, value| sum(&rows, &[&far, "client", measure], value);
    assert_eq!(4_096_000, client("bytes_sent", BYTES));
    // The program's socket counts packets; several may be sent again at one go.
    let packets: u64 = outcome.ended.stdout.trim().parse().unwrap();
    let again = client("retransmits", EVENTS);
    assert!(0 < again && again <= packets, "{again} of {packets}");
}
