//! How a recording starts and ends: commands, exit codes, interruptions, wrong usage.

use std::{process::Command, time::Duration};

use profiler_tests::{
    harness::{Ended, Record, Running, until, workload, works_for},
    require_root,
};

use super::check::{check_quality, record, shell};

/// Runs a recording that asks for no output but its own.
#[track_caller]
fn ended(record: &Record) -> Ended {
    record.start_bare().unwrap().ended().unwrap()
}

/// The product ends with the command's status, as `sh` would put it.
#[test]
fn status_of_the_command_is_passed_on() {
    let _turn = require_root!();
    for (line, code) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)] {
        let outcome = shell(line).run().unwrap();
        assert_eq!(
            outcome.ended.code(),
            Some(code),
            "{line}: {}",
            outcome.ended.stderr
        );
    }
}

#[test]
fn command_that_is_not_there_is_an_error_that_names_it() {
    let _turn = require_root!();
    let ended = ended(
        &Record::program("/nowhere/to/be/found")
            .option("-o")
            .option("x.svg"),
    );
    assert_ne!(ended.code(), Some(0));
    assert!(
        ended.stderr.contains("/nowhere/to/be/found"),
        "{}",
        ended.stderr
    );
}

/// The command's own output passes through untouched.
#[test]
fn output_of_the_command_passes_through() {
    let _turn = require_root!();
    let outcome = shell("echo to the screen; echo to the log >&2")
        .run()
        .unwrap();
    assert!(
        outcome.ended.stdout.contains("to the screen"),
        "{}",
        outcome.ended.stdout
    );
    assert!(
        outcome.ended.stderr.contains("to the log"),
        "{}",
        outcome.ended.stderr
    );
}

#[test]
fn interrupted_recording_of_the_host_still_writes() {
    let _turn = require_root!();
    let split = Running::start(Command::new(workload("split").unwrap()).arg("120")).unwrap();
    let mut recording = Record::host().hz(499).start().unwrap();
    recording.samples().unwrap();
    split.works_for(Duration::from_secs(1)).unwrap();
    recording.interrupt().unwrap();
    let outcome = recording.outcome().unwrap();
    assert_eq!(outcome.ended.code(), Some(0), "{}", outcome.ended.stderr);
    check_quality(&outcome);
    assert!(outcome.collapsed.of_comm("split").total() > 200);
}

/// Ctrl-C on a terminal reaches both: the command ends by it, and the product writes.
#[test]
fn interrupted_command_still_gives_a_profile() {
    let _turn = require_root!();
    let recording = record("split", 120).start().unwrap();
    let split = until("split works", Duration::from_secs(30), || {
        Ok(child_of(recording.pid()))
    });
    works_for(split.unwrap(), Duration::from_secs(1)).unwrap();
    recording.interrupt_group().unwrap();
    let outcome = recording.outcome().unwrap();
    // The command's status where the product saw it end, or its own.
    let code = outcome.ended.code();
    assert!(
        matches!(code, Some(0 | 130)),
        "{code:?}: {}",
        outcome.ended.stderr
    );
    assert!(outcome.collapsed.of_comm("split").total() > 200);
}

/// The duration ends the recording though the command goes on; it must not outlive the product.
#[test]
fn duration_ends_a_recording_of_processes() {
    let _turn = require_root!();
    let split = Running::start(Command::new(workload("split").unwrap()).arg("120")).unwrap();
    let outcome = Record::process(&split).hz(99).seconds(1).run().unwrap();
    assert_eq!(outcome.ended.code(), Some(0), "{}", outcome.ended.stderr);
    let lasted = outcome.profile.window.duration.as_secs_f64();
    assert!((0.9..2.0).contains(&lasted), "{lasted} s");
}

/// Needs no privilege: the arguments are read before anything else.
#[test]
fn wrong_usage_ends_with_code_2_and_says_why() {
    let wrong: [&[&str]; 7] = [
        &["-F", "0"],
        &["-F", "many"],
        &["-e", "nonsense"],
        &["--unwind", "guess"],
        &["-o", "picture.unknown"],
        &["-p", "not-a-pid"],
        &["--no-such-option"],
    ];
    for options in wrong {
        let record = options.iter().copied().fold(Record::host(), Record::option);
        let ended = ended(&record.seconds(1));
        assert_eq!(ended.code(), Some(2), "{options:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(options[options.len() - 1]),
            "{}",
            ended.stderr
        );
        assert_eq!(ended.stdout, "", "{options:?}");
    }
}

#[test]
fn process_that_is_not_there_is_an_error() {
    let _turn = require_root!();
    // Above the largest number a process can have.
    let record = Record::host()
        .option("-p")
        .option("4194305")
        .option("-o")
        .option("x.svg");
    let ended = ended(&record.seconds(1));
    assert_ne!(ended.code(), Some(0));
    assert!(ended.stderr.contains("4194305"), "{}", ended.stderr);
}

/// The one child of the product: the command it runs.
fn child_of(pid: u32) -> Option<u32> {
    let children = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(children).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
