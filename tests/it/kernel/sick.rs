//! Programs with one thing wrong each: it is found first, in the right function. Programs with
//! nothing wrong: nothing is said that someone would have to look at.

use std::{fs, path::Path, process::Command};

use profiler_tests::{
    harness::{product, workload},
    require_root,
};
use serde_json::Value;

/// Seconds that each program runs.
const SECONDS: &str = "6";
/// Asks for every finding there is.
const BUDGET: &str = "[[limit]]\nname = \"all\"\nmeasure = \"findings\"\nleast = \"info\"\n\
    [[limit]]\nname = \"grave\"\nmeasure = \"findings\"\nleast = \"warning\"\n";

/// Findings of a mode of the workload, all of them and the grave ones, gravest first.
fn findings(mode: &str) -> [Vec<String>; 2] {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let recorded = Command::new(product().unwrap())
        .args(["record", "-e", "cpu,offcpu", "-F", "199", "-o"])
        .arg(path("out.json"))
        .arg("--")
        .arg(workload("sick").unwrap())
        .args([SECONDS, mode])
        .output()
        .unwrap();
    assert!(recorded.status.success(), "{recorded:?}");
    fs::write(path("budget.toml"), BUDGET).unwrap();
    check(dir.path())
}

/// Checks the recordings of a folder.
fn check(dir: &Path) -> [Vec<String>; 2] {
    let output = Command::new(product().unwrap())
        .current_dir(dir)
        .args(["check", "--budget", "budget.toml", "--format", "json"])
        .args(["--input", "out.cpu.json", "--input", "out.offcpu.json"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    [0, 1].map(|limit| {
        let details = report["limits"][limit]["details"].as_array().unwrap();
        let texts = details
            .iter()
            .map(|detail| detail.as_str().unwrap().to_owned());
        texts.collect()
    })
}

/// That the first finding of a mode is of a kind and names a function.
#[track_caller]
fn check_first(mode: &str, kind: &str, function: &str) {
    let [all, _grave] = findings(mode);
    let first = all.first().expect("a finding");
    assert!(first.starts_with(kind), "{all:#?}");
    assert!(first.contains(&format!("`{function}`")), "{all:#?}");
}

#[test]
fn a_hot_function_is_found_first() {
    let _turn = require_root!();
    check_first("hot_function", "hot_function", "checksum");
}

#[test]
fn a_hot_path_is_found_first() {
    let _turn = require_root!();
    check_first("hot_path", "hot_path", "report");
}

#[test]
fn a_lock_convoy_is_found_first_with_its_holder() {
    let _turn = require_root!();
    check_first("lock_convoy", "lock_convoy", "update");
    check_first("lock_convoy", "lock_convoy", "copy_table");
}

#[test]
fn run_queue_saturation_is_found_first() {
    let _turn = require_root!();
    let [all, _grave] = findings("run_queue");
    assert!(all[0].starts_with("run_queue_saturation"), "{all:#?}");
}

#[test]
fn a_healthy_program_raises_nothing_grave() {
    let _turn = require_root!();
    let [_all, mut grave] = findings("healthy_even");
    // A host that is busy with something else does let programs wait for a CPU.
    grave.retain(|finding| !finding.starts_with("run_queue_saturation"));
    assert!(grave.is_empty(), "{grave:#?}");
}
