//! Programs with one thing wrong each: it is found first, in the right function. Programs with
//! nothing wrong: nothing is said that someone would have to look at.

use std::{process::Command, time::Duration};

use profiler_tests::{
    harness::{Running, skip, until, workload},
    require_root,
};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    tcp::Network,
    up::{query, up},
    zoo::{ACTIVITY, Found, MEMORY, Named, Recorded, SECONDS, free_port, serve},
};

/// Waiting for a CPU: on a host that is busy with something else, every program does that.
const QUEUE: &str = "run_queue_saturation";
/// Microseconds after which the slow server answers.
const LATE_US: &str = "150000";
/// Longest wait until a leak is told from memory that is merely taken: pauses between the looks, each
/// of which takes several times as long. It takes four windows, and storing them.
const LEAK_LIMIT: Duration = Duration::from_secs(15);
/// Port of the far host.
const FAR_PORT: &str = "7999";

/// What is found of a mode of the sick program.
fn findings(mode: &str, arguments: &[&str]) -> Vec<String> {
    let sick = workload("sick").unwrap();
    let command = [&[sick.to_str().unwrap(), SECONDS, mode], arguments].concat();
    let memory = ["allocation_hot_spot", "page_fault_storm"];
    let signals = if memory.contains(&mode) {
        MEMORY
    } else {
        ACTIVITY
    };
    Recorded::of(&command, signals).found("sick").all
}

/// That the first finding of a mode is of its kind and in a function and file, with the line.
#[track_caller]
fn check_first(mode: &str, function: &str, file: &str, arguments: &[&str]) -> String {
    let mut found = findings(mode, arguments);
    found.retain(|finding| !finding.starts_with(QUEUE));
    check_finding(&found, mode, function, file)
}

/// That the first of some findings is of a kind and in a function and file, with the line.
#[track_caller]
fn check_finding(all: &[String], kind: &str, function: &str, file: &str) -> String {
    let first = all.first().expect("a finding");
    let (what, place) = first.rsplit_once(" at ").expect("a place");
    assert!(what.starts_with(&format!("{kind}: ")), "{all:#?}");
    assert!(what.contains(&format!("`{function}")), "{all:#?}");
    let (file_found, line) = place.rsplit_once(':').expect("a line");
    assert!(file_found.ends_with(file), "{all:#?}");
    assert!(line.parse::<u32>().is_ok_and(|line| 0 < line), "{all:#?}");
    first.clone()
}

#[test]
fn a_hot_function_is_found_first() {
    let _turn = require_root!();
    check_first("hot_function", "checksum", "sick.c", &[]);
}

#[test]
fn a_hot_path_is_found_first() {
    let _turn = require_root!();
    check_first("hot_path", "report", "sick.c", &[]);
}

#[test]
fn a_lock_convoy_is_found_first_with_its_holder() {
    let _turn = require_root!();
    let convoy = check_first("lock_convoy", "update", "sick.c", &[]);
    assert!(convoy.contains("held in `copy_table`"), "{convoy}");
}

#[test]
fn one_busy_thread_is_found_first() {
    let _turn = require_root!();
    check_first("one_busy_thread", "plan", "sick.c", &[]);
}

#[test]
fn run_queue_saturation_is_found_first() {
    let _turn = require_root!();
    let found = findings("run_queue", &[]);
    check_finding(&found, QUEUE, "step", "steps.h");
}

#[test]
fn a_storm_of_system_calls_is_found_first() {
    let _turn = require_root!();
    check_first("syscall_storm", "has_changed", "sick.c", &[]);
}

#[test]
fn tiny_reads_are_found_first() {
    let _turn = require_root!();
    check_first("tiny_io", "next_byte", "sick.c", &[]);
}

#[test]
fn a_slow_remote_is_found_first() {
    let _turn = require_root!();
    let (_late, port) = serve(LATE_US);
    let slow = check_first("slow_remote", "load_user", "steps.h", &[&port]);
    assert!(slow.contains(&format!("`127.0.0.1:{port}`")), "{slow}");
}

#[test]
fn segments_that_are_lost_are_found_first() {
    let _turn = require_root!();
    let Some(_network) = Network::lossy() else {
        skip("no network namespaces, or no token bucket filter here");
        return;
    };
    let mut far = Command::new("ip");
    far.args(["netns", "exec", Network::FAR])
        .arg(workload("talk").unwrap());
    let _far = Running::start(far.args(["serve", FAR_PORT])).unwrap();
    let arguments = [FAR_PORT, Network::ADDRESS];
    let lost = check_first("retransmits", "replicate", "sick.c", &arguments);
    assert!(lost.contains(Network::ADDRESS), "{lost}");
}

#[test]
fn an_allocation_hot_spot_is_found_first() {
    let _turn = require_root!();
    check_first("allocation_hot_spot", "parse_row", "sick.c", &[]);
}

#[test]
fn a_storm_of_page_faults_is_found_first() {
    let _turn = require_root!();
    check_first("page_fault_storm", "fill_new_buffer", "sick.c", &[]);
}

/// What grows is told by several windows: a recording is only one.
#[test]
fn memory_that_leaks_is_found_first() {
    let _turn = require_root!();
    let named = Named::new();
    let data = TempDir::new().unwrap();
    let server = up(
        data.path(),
        &["--window", "2", "-e", "cpu,alloc", "--max-overhead", "off"],
    );
    let mut leaking = Command::new(named.file("leaking", "sick"));
    let leaking = Running::start(leaking.args(["120", "leak_suspect"])).unwrap();
    let first = until("a leak is suspected", LEAK_LIMIT, || {
        let asked = [
            "bottlenecks",
            "{service=\"leaking\"}",
            "--last",
            "2m",
            "--json",
        ];
        let answer: Value = serde_json::from_str(&query(&server, &asked))?;
        let mut findings = answer["findings"].as_array().unwrap().iter();
        let is_leak = |finding: &&Value| finding["kind"] == "leak_suspect";
        let first = findings.find(|finding| finding["kind"] != QUEUE);
        Ok(first.filter(is_leak).cloned())
    })
    .unwrap();
    drop(leaking);
    assert_eq!("remember", first["place"]["function"], "{first}");
    let file = first["place"]["file"].as_str().unwrap();
    assert!(file.ends_with("sick.c"), "{first}");
    assert!(
        first["place"]["line"].as_u64().is_some_and(|line| 0 < line),
        "{first}"
    );
    assert_ne!("info", first["severity"], "{first}");
}

/// That nothing is found of a program that someone would have to look at.
#[track_caller]
fn check_healthy(recorded: &Recorded, program: &str) {
    let Found { mut grave, .. } = recorded.found(program);
    grave.retain(|finding| !finding.starts_with(QUEUE));
    assert!(grave.is_empty(), "{program}: {grave:#?}");
}

/// That nothing is found of some modes of the healthy program that run at the same time.
#[track_caller]
fn check_all_healthy(programs: &[(&str, &str)]) {
    let named = Named::new();
    let commands = programs.iter().map(|(mode, arguments)| {
        let file = named.file(mode, "healthy");
        format!("{} {SECONDS} {mode} {arguments} & ", file.display())
    });
    let commands: String = commands.collect();
    let recorded = Recorded::of(&["sh", "-c", &format!("{commands} wait")], ACTIVITY);
    for (program, _arguments) in programs {
        check_healthy(&recorded, program);
    }
}

#[test]
fn programs_that_have_little_to_do_are_healthy() {
    let _turn = require_root!();
    let port = free_port();
    check_all_healthy(&[
        ("server", &port),
        ("client", &port),
        ("idle_pool", ""),
        ("batch", ""),
        ("copier", ""),
    ]);
}

#[test]
fn programs_that_are_busy_are_healthy() {
    let _turn = require_root!();
    // One after the other: together they would wait for a CPU.
    for program in ["even", "busy_pool", "locks"] {
        check_all_healthy(&[(program, "")]);
    }
}
