//! Processes and mappings that come and go.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use profiler_tests::{
    harness::{Record, Running, source, workload},
    require_root, require_tool,
};
use tempfile::TempDir;

use super::check::{
    check_chain, check_complete, check_shares, check_shares_within, record, recursion, run,
    shell_with, stacks_in, stacks_of,
};

/// The whole chain of the split.
fn whole_split() -> Vec<&'static str> {
    recursion("main", "descend", 20)
}

/// A copy of the split that a test may delete, in a folder that is deleted after it.
fn copy_of_split(name: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    let copy = dir.path().join(name);
    fs::copy(workload("split").unwrap(), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

#[test]
fn library_loaded_while_sampling() {
    let _turn = require_root!();
    let record = record("dlopen", 4).argument(workload("plugin.so").unwrap());
    let stacks = stacks_of("dlopen", &record);
    check_shares_within(
        &stacks,
        &[("before_load", 0.5), ("plugin_inner", 0.5)],
        |_| 0.1,
    );
    let plugged = ["main", "call_plugin", "plugin_work", "plugin_inner"];
    check_chain(&stacks.with("plugin_inner"), &plugged);
    check_complete(&stacks);
}

/// The process is known from before; only what it maps is new.
#[test]
fn library_loaded_by_a_process_that_runs_already() {
    let _turn = require_root!();
    let mut command = Command::new(workload("dlopen").unwrap());
    let running = Running::start(command.arg("10").arg(workload("plugin.so").unwrap())).unwrap();
    let stacks = stacks_of("dlopen", &Record::process(&running).hz(997).seconds(8));
    assert!(
        stacks.share_total("before_load") > 0.0,
        "{}",
        stacks.heaviest(5)
    );
    let plugged = ["main", "call_plugin", "plugin_work", "plugin_inner"];
    check_chain(&stacks.with("plugin_inner"), &plugged);
}

#[test]
fn binary_deleted_while_it_runs() {
    let _turn = require_root!();
    let dir = copy_of_split("deleted");
    let running = Running::start(Command::new(dir.path().join("deleted")).arg("60")).unwrap();
    drop(dir);
    let stacks = stacks_of("deleted", &Record::process(&running).hz(997).seconds(3));
    check_chain(&stacks, &whole_split());
}

/// Nothing of it is left when the names are looked up: not the file, not the process.
#[test]
fn binary_and_process_gone_before_the_end() {
    let _turn = require_root!();
    let dir = copy_of_split("gone");
    let line = r#""$0" 3 | { read ready; rm "$0"; cat; }"#;
    let stacks = stacks_of("gone", &shell_with(line, [dir.path().join("gone").into()]));
    check_chain(&stacks, &whole_split());
}

#[test]
fn process_that_becomes_another_program() {
    let _turn = require_root!();
    let record = record("exec", 2)
        .argument(workload("split").unwrap())
        .argument("2");
    let outcome = run(&record);
    let before = stacks_in("exec", &outcome).with("before_exec");
    check_chain(&before, &["main", "before_exec"]);
    let after = stacks_in("split", &outcome);
    check_chain(&after, &whole_split());
    assert!(
        before.total() > 500 && after.total() > 500,
        "{}",
        outcome.collapsed.heaviest(10)
    );
}

#[test]
fn child_that_borrows_its_parents_memory() {
    let _turn = require_root!();
    let stacks = stacks_of("vfork", &record("vfork", 2));
    check_chain(
        &stacks.with("borrowed_work"),
        &["main", "with_child", "borrowed_work"],
    );
    check_shares_within(&stacks, &[("borrowed_work", 1.0)], |_| 0.03);
}

#[test]
fn threads_by_name() {
    let _turn = require_root!();
    let outcome = run(&record("threads", 3));
    let strokes = outcome.collapsed.with("stroke");
    for (name, share) in [("red", 0.5), ("green", 0.3), ("blue", 0.2)] {
        let own = stacks_in(name, &outcome).with("stroke");
        check_chain(&own, &["paint", "stroke"]);
        check_complete(&own);
        let found = strokes.share(|stack| stack.comm == name);
        let within = profiler_tests::harness::tolerance(share, strokes.total());
        assert!(
            (found - share).abs() <= within,
            "{name}: {found} ± {within}"
        );
    }
}

/// Most of them are gone before anybody could have looked at them in `/proc`. Only the first is new.
#[test]
fn processes_that_live_for_milliseconds() {
    let _turn = require_root!();
    let sh = require_tool!("sh");
    let record = Record::program(sh).hz(997);
    let record = record.argument(source("shell.sh")).argument("4");
    let stacks = stacks_of("short", &record.argument(workload("short").unwrap()));
    // The program's own part of each is 5 ms and more; the rest is the kernel's and the loader's.
    let work = stacks.with("short_work");
    check_chain(&work, &["main", "short_work"]);
    check_shares_within(&stacks, &[("short_work", 1.0)], |_| 0.1);
    check_complete(&stacks);
}

/// The program's file can be seen only from inside: a file system mounted in its own mount namespace
/// is its root.
#[test]
fn program_with_a_root_of_its_own() {
    let _turn = require_root!();
    let _unshare = require_tool!("unshare");
    let _chroot = require_tool!("chroot");
    let line = r#"mount -t tmpfs none "$1" && mkdir "$1/inside" && cp "$0" "$1/inside/rooted" \
        && for dir in lib lib64 usr/lib; do mkdir -p "$1/$dir" && mount --rbind "/$dir" "$1/$dir" || exit; done \
        && exec chroot "$1" /inside/rooted 3"#;
    let root = TempDir::new().unwrap();
    let record = Record::program("unshare").hz(997);
    let record = ["--mount", "sh", "-c", line]
        .into_iter()
        .fold(record, Record::argument);
    let record = record
        .argument(workload("split").unwrap())
        .argument(root.path());
    let stacks = stacks_of("rooted", &record);
    check_chain(&stacks, &whole_split());
    check_shares(&stacks, &[("heavy", 0.6), ("medium", 0.3), ("light", 0.1)]);
    assert!(
        is_empty(root.path()),
        "the mounts must not be visible from here"
    );
}

/// Whether a folder has nothing in it.
fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}
