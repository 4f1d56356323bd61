//! 60/30/10 below 20 recursive callers, built in every way that programs are shipped.

use std::process::Command;

use profiler_tests::{
    harness::{Record, Running, workload},
    require_root,
};

use super::check::{
    Stacks, check_chain, check_shares, check_shares_within, record, recursion, stacks_of,
};

/// What the workload is made of.
const SHARES: [(&str, f64); 3] = [("heavy", 0.6), ("medium", 0.3), ("light", 0.1)];

/// The whole chain from `main` on, with every level of the recursion.
#[track_caller]
fn check_whole_chain(stacks: &Stacks) {
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
    let program = Record::program(workload("split").unwrap());
    let stacks = stacks_of("split", &program.argument("30").hz(99));
    check_shares_within(&stacks, &SHARES, |_| 0.02);
    let whole = stacks.share_holding(&recursion("main", "descend", 20));
    assert!(whole >= 0.99, "{whole}:\n{}", stacks.heaviest(10));
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

/// The C library keeps none, so the walk ends in the code that calls `main`; and the compiler gives no
/// frame to a leaf that needs none, so the innermost caller is skipped.
#[test]
fn frame_pointers_alone_reach_as_far_as_they_are_kept() {
    let _turn = require_root!();
    let record = record("split_fp", 2).option("--unwind").option("fp");
    let stacks = stacks_of("split_fp", &record);
    check_chain(&stacks, &recursion("main", "descend", 19));
    check_shares(&stacks, &SHARES);
}

#[test]
fn tables_can_be_asked_for() {
    let _turn = require_root!();
    let record = record("split", 1).option("--unwind").option("dwarf");
    check_whole_chain(&stacks_of("split", &record));
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
    let _turn = require_root!();
    let mut split = Command::new(workload("split").unwrap());
    let running = Running::start(split.arg("60")).unwrap();
    let stacks = stacks_of("split", &Record::process(&running).hz(997).seconds(3));
    check_shares_within(&stacks, &SHARES, |_| 0.05);
    check_whole_chain(&stacks);
}
