//! How soon a program that was never seen before has complete stacks.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    path::Path,
};

use profiler_tests::{
    harness::{FoldedStack, Record, say, workload},
    require_root,
};
use tempfile::TempDir;

use super::check::{run, stacks_of};

/// The build id that the workload is linked with.
const BUILD_ID: [u8; 16] = *b"never-seen-befor";
/// Samples a second: one is about a millisecond of the program's time.
const HZ: u32 = 997;

/// A copy of a program with more than 10 MB of code, with a build id of its own.
fn new_program(dir: &Path) -> std::path::PathBuf {
    let mut bytes = fs::read(workload("big").unwrap()).unwrap();
    let at = bytes
        .windows(16)
        .position(|window| window == BUILD_ID)
        .unwrap();
    let state = RandomState::new();
    bytes[at..at + 8].copy_from_slice(&state.hash_one(1).to_ne_bytes());
    bytes[at + 8..at + 16].copy_from_slice(&state.hash_one(2).to_ne_bytes());
    let path = dir.join("big");
    fs::copy(workload("big").unwrap(), &path).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

/// The program's time before its stacks were complete, in milliseconds: it never waits, and is sampled
/// about once in each.
#[track_caller]
fn incomplete_ms(program: &Path) -> u64 {
    let outcome = run(&Record::program(program).hz(HZ).argument("1"));
    let stacks = outcome.collapsed.of_comm("big");
    assert!(
        stacks.share_holding(&["main"]) > 0.5,
        "{}",
        stacks.heaviest(10)
    );
    stacks.select(FoldedStack::is_truncated).total() * 1000 / u64::from(HZ)
}

/// The best of three: what the product needs, not what else the host did meanwhile.
#[test]
fn ten_megabytes_of_new_code_within_200_ms_and_known_code_within_20() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let (mut new, mut known) = (u64::MAX, u64::MAX);
    for _ in 0..3 {
        let program = new_program(dir.path());
        new = new.min(incomplete_ms(&program));
        known = known.min(incomplete_ms(&program));
    }
    say(&format!(
        "first complete stack of 10 MB of code: new {new} ms, known {known} ms"
    ));
    assert!(new <= 200, "{new} ms");
    assert!(known <= 20, "{known} ms");
}

/// The deepest frames are in code from all over the file.
#[test]
fn functions_from_all_over_ten_megabytes_have_names() {
    let _turn = require_root!();
    let record = Record::program(workload("big").unwrap())
        .hz(HZ)
        .argument("2");
    let stacks = stacks_of("big", &record).with("big_leaf");
    let stacks = stacks.select(|stack| !stack.is_truncated());
    let named = stacks.share(|stack| {
        let frames = stack.frames.iter();
        frames
            .filter(|frame| frame.starts_with("big_function_"))
            .count()
            == 1
    });
    assert!(named > 0.99, "{}", stacks.heaviest(10));
    // About one sample a millisecond on the CPU, and another function every millisecond.
    assert!(stacks.stacks.len() > 100, "{} stacks", stacks.stacks.len());
}
