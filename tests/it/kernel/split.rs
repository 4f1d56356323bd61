//! 60/30/10 below 20 recursive callers, built in every way that programs are shipped.

use profiler_tests::{
    harness::{Collapsed, workload},
    require_root,
};

use super::check::{check_chain, check_shares, check_shares_within, record, recursion, stacks_of};

/// What the workload is made of.
const SHARES: [(&str, f64); 3] = [("heavy", 0.6), ("medium", 0.3), ("light", 0.1)];

/// The whole chain from `main` on, with every level of the recursion.
#[track_caller]
fn check_whole_chain(stacks: &Collapsed) {
    check_chain(stacks, &recursion("main", "descend", 20));
}

/// Three seconds of one variant.
#[track_caller]
fn check_variant(name: &str) {
    let stacks = stacks_of(name, &record(name, 3));
    check_shares(&stacks, &SHARES);
    check_whole_chain(&stacks);
}

/// The headline: half a minute at the usual rate, within two points.
#[test]
fn thirty_seconds_are_within_two_points() {
    let _turn = require_root!();
    let stacks = stacks_of("split", &record("split", 30).hz(99));
    check_shares_within(&stacks, &SHARES, |_| 0.02);
    check_whole_chain(&stacks);
}

#[test]
fn c_without_frame_pointers() {
    let _turn = require_root!();
    check_variant("split");
}

#[test]
fn c_with_frame_pointers() {
    let _turn = require_root!();
    check_variant("split_fp");
}

#[test]
fn cpp_without_frame_pointers() {
    let _turn = require_root!();
    check_variant("split_cpp");
}

#[test]
fn cpp_with_frame_pointers() {
    let _turn = require_root!();
    check_variant("split_cpp_fp");
}

#[test]
fn rust_without_frame_pointers() {
    let _turn = require_root!();
    check_variant("split_rs");
}

#[test]
fn rust_with_frame_pointers() {
    let _turn = require_root!();
    check_variant("split_rs_fp");
}

#[test]
fn static_program() {
    let _turn = require_root!();
    check_variant("split_static");
}

#[test]
fn static_program_at_a_random_address() {
    let _turn = require_root!();
    check_variant("split_staticpie");
}

#[test]
fn stripped_program_is_named_by_its_dynamic_symbols() {
    let _turn = require_root!();
    check_variant("split_stripped");
}

#[test]
fn separate_debug_file_names_what_was_stripped() {
    let _turn = require_root!();
    check_variant("split_debuglink");
}

#[test]
fn compressed_symbols_name_what_was_stripped() {
    let _turn = require_root!();
    check_variant("split_minidebug");
}

#[test]
fn debug_frame_alone_is_enough() {
    let _turn = require_root!();
    check_variant("split_debugfr");
}

/// Every mode of the option; with frame pointers each of them can be right.
#[test]
fn every_way_to_unwind_follows_frame_pointers() {
    let _turn = require_root!();
    for way in ["auto", "fp", "dwarf"] {
        let record = record("split_fp", 1).option("--unwind").option(way);
        check_whole_chain(&stacks_of("split_fp", &record));
    }
}

/// Line tables show calls that were inlined, and the collapsed output marks them.
#[test]
fn inlined_calls_are_frames_of_their_own() {
    let _turn = require_root!();
    let stacks = stacks_of("split", &record("split", 2));
    let inlined = stacks.share(|stack| stack.frames.iter().any(|frame| frame == "spin_[i]"));
    assert!(inlined >= 0.95, "{inlined}:\n{}", stacks.heaviest(5));
}

/// Two ways to pick what is recorded give the same shares: by command, and by a process that runs.
#[test]
fn process_that_runs_already() {
    use profiler_tests::harness::{Record, Running};
    use std::process::Command;

    let _turn = require_root!();
    let mut split = Command::new(workload("split").unwrap());
    let running = Running::start(split.arg("60")).unwrap();
    let stacks = stacks_of("split", &Record::process(&running).hz(997).seconds(3));
    check_shares_within(&stacks, &SHARES, |_| 0.05);
    check_whole_chain(&stacks);
}
