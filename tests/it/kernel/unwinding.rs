//! Code that is hard to unwind.

use profiler::model::Truncation;
use profiler_tests::{
    harness::{FoldedStack, Record, TRUNCATED, plain_name},
    require_root, require_tool,
};

use super::check::{
    check_chain, check_complete, check_shares, check_shares_within, record, recursion, run,
    stacks_in, stacks_of,
};

/// Frames that every stack must show at least, whatever its depth: what DESIGN promises.
const DEPTH_MIN: usize = 127;

#[test]
fn runtime_that_throws_exceptions() {
    let _turn = require_root!();
    let stacks = stacks_of("throws", &record("throws", 2));
    check_chain(&stacks, &["main", "catcher"]);
    check_complete(&stacks);
    assert!(
        stacks.share_total("thrower") > 0.5,
        "{}",
        stacks.heaviest(10)
    );
}

#[test]
fn signal_handler_on_top_of_what_it_interrupted() {
    let _turn = require_root!();
    let stacks = stacks_of("signal", &record("signal", 2));
    check_chain(&stacks, &["main", "caller_of_interrupted", "interrupted"]);
    let in_handler = stacks.with("in_handler");
    assert!(
        in_handler.total() > stacks.total() / 2,
        "{}",
        stacks.heaviest(5)
    );
    check_chain(&in_handler, &["handler", "in_handler"]);
    check_chain(
        &in_handler,
        &["main", "caller_of_interrupted", "interrupted"],
    );
}

/// The handler's frames lie above the interrupted ones, so the walk has to go down once.
#[test]
fn signal_handler_on_a_stack_of_its_own() {
    let _turn = require_root!();
    let stacks = stacks_of("signal", &record("signal", 2).argument("alternate"));
    let in_handler = stacks.with("in_handler");
    assert!(
        in_handler.total() > stacks.total() / 2,
        "{}",
        stacks.heaviest(5)
    );
    check_chain(
        &in_handler,
        &["main", "caller_of_interrupted", "interrupted"],
    );
}

#[test]
fn clock_of_the_vdso() {
    let _turn = require_root!();
    let stacks = stacks_of("vdso", &record("vdso", 2));
    check_chain(&stacks, &["main", "read_clock"]);
    check_complete(&stacks);
    let in_vdso = stacks.share(|stack| {
        let names = stack.frames.iter().map(|frame| plain_name(frame));
        names.filter(|name| name.starts_with("__vdso_")).count() == 1
    });
    assert!(in_vdso > 0.5, "{}", stacks.heaviest(10));
}

#[test]
fn digests_and_powers_of_openssl() {
    let _turn = require_root!();
    let stacks = stacks_of("digest", &record("digest", 3));
    check_complete(&stacks);
    for caller in ["digests", "power"] {
        assert!(
            stacks.share_total(caller) > 0.1,
            "{caller}:\n{}",
            stacks.heaviest(10)
        );
        check_chain(&stacks.with(caller), &["main", caller]);
    }
}

/// OpenSSL's AES-GCM keeps the caller's stack pointer in rax while it calls an inner function, which
/// no ABI allows; the sample's own value of rax, checked, leads on.
#[test]
fn cipher_with_its_frame_in_a_scratch_register_is_whole() {
    let _turn = require_root!();
    let outcome = run(&record("digest", 2).argument("cipher"));
    let stacks = stacks_in("digest", &outcome);
    let cut = stacks.select(FoldedStack::is_truncated).total();
    let cut_later = cut.saturating_sub(stacks.at_start);
    assert!(cut_later * 100 <= stacks.total(), "{}", stacks.heaviest(10));
    let guessed = outcome.profile.quality.fallback;
    assert!(0 < guessed, "such frames are marked as guesses");
}

#[test]
fn speed_test_of_the_openssl_command() {
    let _turn = require_root!();
    let openssl = require_tool!("openssl");
    let record = Record::program(openssl).hz(997);
    let arguments = ["speed", "-seconds", "1", "sha256", "aes-256-cbc", "rsa2048"];
    let record = arguments.into_iter().fold(record, Record::argument);
    check_complete(&stacks_of("openssl", &record));
}

#[test]
fn hundred_levels_are_all_there() {
    let _turn = require_root!();
    let stacks = stacks_of("recursion", &record("recursion", 2).argument("100"));
    let mut chain = recursion("main", "recurse", 100);
    chain.push("bottom");
    check_chain(&stacks, &chain);
}

#[test]
fn thousand_levels_keep_the_leaf_side_and_say_so() {
    let _turn = require_root!();
    let outcome = run(&record("recursion", 2).argument("1000"));
    let stacks = stacks_in("recursion", &outcome).with("recurse");
    check_chain(&stacks, &recursion("recurse", "recurse", DEPTH_MIN - 2));
    let marked = stacks.share(|stack| {
        stack.frames.first().is_some_and(|frame| frame == TRUNCATED) && stack.count("main") == 0
    });
    assert!(marked >= 0.99, "{}", stacks.heaviest(2));
    let truncated = &outcome.profile.quality.truncated;
    let deep = truncated.get(&Truncation::Depth).copied();
    // On a busy machine a few are cut before that: the tables are not there yet.
    let most = stacks.total() * 99 / 100..=stacks.total();
    assert!(
        deep.is_some_and(|deep| most.contains(&deep)),
        "{truncated:?}"
    );
}

#[test]
fn entries_of_the_procedure_linkage_table() {
    let _turn = require_root!();
    let stacks = stacks_of("plt", &record("plt", 2));
    check_chain(&stacks, &["main", "call_tiny"]);
    check_complete(&stacks);
    assert!(
        stacks.share_total("tiny_three") > 0.02,
        "{}",
        stacks.heaviest(10)
    );
}

#[test]
fn frames_that_no_fixed_offset_describes() {
    let _turn = require_root!();
    let stacks = stacks_of("frames", &record("frames", 3));
    check_complete(&stacks);
    let all_three = [
        "realigned",
        "variable_then_large",
        "variable",
        "large_then_leaf",
        "large",
        "leaf",
    ];
    let shares = [
        ("realigned", 0.5),
        ("variable", 0.5),
        ("large", 0.5),
        ("leaf", 1.0),
    ];
    check_shares_within(&stacks, &shares, |_| 0.06);
    check_chain(&stacks.with("variable_then_large"), &all_three);
    for alone in ["realigned", "variable", "large"] {
        let held = stacks.share_holding(&["main", alone, "leaf"]);
        assert!((held - 0.25).abs() <= 0.06, "{alone}: {held}");
    }
}

#[test]
fn functions_written_by_hand() {
    let _turn = require_root!();
    let stacks = stacks_of("assembly", &record("assembly", 3));
    let functions = [
        "pushes_between",
        "cfa_from_rbx",
        "cfa_from_memory",
        "cfa_from_r10",
        "frame_pointer_only",
    ];
    check_shares(&stacks, &functions.map(|function| (function, 0.2)));
    for function in functions {
        check_chain(&stacks.with(function), &["main", "in_turn", function]);
    }
}

/// The way by frame pointers is taken where there is nothing better, and is counted.
#[test]
fn code_without_unwind_information_counts_as_fallback() {
    let _turn = require_root!();
    let outcome = run(&record("assembly", 2));
    let stacks = outcome.collapsed.of_comm("assembly");
    let complete = stacks.select(|stack| !stack.is_truncated());
    let expected = complete.with("frame_pointer_only").total();
    let fallback = outcome.profile.quality.fallback;
    assert!(
        expected > 0 && fallback >= expected * 9 / 10,
        "{fallback} of {expected}"
    );
}
