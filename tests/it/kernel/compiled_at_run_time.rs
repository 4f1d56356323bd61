//! Code without a file, and interpreters.

use profiler_tests::{
    harness::{FoldedStack, Record, source},
    require_root, require_tool,
};

use super::check::{Stacks, check_chain, check_complete, check_shares_within, stacks_of};

/// A run of a script in an interpreter.
fn script(interpreter: std::path::PathBuf, options: &[&str], name: &str) -> Record {
    let record = Record::program(interpreter).hz(997);
    let record = options.iter().copied().fold(record, Record::argument);
    record.argument(source(name)).argument("4")
}

/// The samples of the three functions that do the work.
fn at_work(stacks: &Stacks) -> Stacks {
    let functions = ["jsHeavy", "jsMedium", "jsLight"];
    let is_at_work =
        |stack: &FoldedStack| functions.iter().any(|function| stack.count(function) > 0);
    stacks.narrowed(stacks.select(is_at_work))
}

#[test]
fn javascript_named_by_its_perf_map() {
    let _turn = require_root!();
    let node = require_tool!("node");
    let options = [
        "--perf-basic-prof",
        "--interpreted-frames-native-stack",
        "--no-turbo-inlining",
    ];
    let stacks = stacks_of("node", &script(node, &options, "jit.js"));
    let work = at_work(&stacks);
    let share = stacks.share(|stack| work.stacks.contains(stack));
    assert!(share > 0.8, "{share}:\n{}", stacks.heaviest(10));
    // The first turns are interpreted, and slower in different measure.
    check_shares_within(
        &work,
        &[("jsHeavy", 0.6), ("jsMedium", 0.3), ("jsLight", 0.1)],
        |_| 0.06,
    );
    check_chain(&work, &["jsDescend"; 5]);
    // Its `main` jumps to another function, and so leaves no frame.
    check_chain(&work, &["_start"]);
    check_complete(&work);
    let marked = work.share(|stack| stack.frames.iter().any(|frame| frame.ends_with("_[j]")));
    assert!(marked > 0.99, "{}", work.heaviest(5));
}

#[test]
fn native_frames_through_the_loop_of_cpython() {
    let _turn = require_root!();
    let python = require_tool!("python3");
    let options: [&str; 0] = [];
    let stacks = stacks_of("python3", &script(python, &options, "interpreter.py"));
    let in_loop = stacks.with("_PyEval_EvalFrameDefault");
    assert!(
        in_loop.total() > stacks.total() * 9 / 10,
        "{}",
        stacks.heaviest(10)
    );
    check_complete(&in_loop);
    // Its `main` jumps to the second of these, and so leaves no frame.
    check_chain(&in_loop, &["_start"]);
    check_chain(&in_loop, &["Py_BytesMain"]);
}
