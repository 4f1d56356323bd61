//! Memory: how much, by whom, and what of it lives.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::bpf_programs::{LISTED, Setting};
use profiler::model::Profile;
use profiler_tests::{
    harness::{Outcome, Record, Recording, Running, say, skip, until, workload},
    require_root,
};

/// Mean bytes between two samples in these tests: many samples, so that chance is small.
const PERIOD: &str = "16384";
/// Largest relative error of a total: six standard errors of the smallest one that is compared.
const ERROR_MAX: f64 = 0.05;
/// Least share of the samples whose stacks must be complete.
const COMPLETE_MIN: f64 = 0.97;

/// Places of the values in a profile of allocations.
const ALLOC_SPACE: usize = 0;
const ALLOC_OBJECTS: usize = 1;
const FREE_SPACE: usize = 2;

/// Adds what every recording of allocations has.
fn alloc(record: Record) -> Record {
    let record = record.option("-e").option("alloc");
    record.option("--alloc-period").option(PERIOD)
}

/// A recording of a program that ends by itself, which must go well and lose nothing.
#[track_caller]
fn run(record: Record) -> Outcome {
    let outcome = alloc(record).run().unwrap();
    assert_eq!(Some(0), outcome.ended.code(), "{}", outcome.ended.stderr);
    check_losses(&outcome);
    outcome
}

/// That nothing was lost.
#[track_caller]
fn check_losses(outcome: &Outcome) {
    let lost = outcome.profile.quality.lost_total();
    assert_eq!(0, lost, "{}", outcome.ended.stderr);
}

/// That stacks reach the start of their thread.
#[track_caller]
fn check_complete(outcome: &Outcome) {
    let share = outcome.user_complete_share(|_task| true);
    let said = &outcome.ended.stderr;
    assert!(COMPLETE_MIN <= share, "{share} complete: {said}");
}

/// Numbers in the last line that a workload printed.
fn printed(outcome: &Outcome) -> Vec<f64> {
    let last = outcome.ended.stdout.lines().last().unwrap();
    last.split(' ').map(|word| word.parse().unwrap()).collect()
}

/// Sum of a value over the stacks with a function in them.
fn sum(profile: &Profile, value: usize, function: &str) -> f64 {
    let has = |sample: &&profiler::model::Sample| {
        let stack = profile.stack(sample.stack).unwrap();
        stack.frames.iter().any(|frame| {
            let frame = profile.frame(*frame).unwrap();
            format!("{:?}", frame.naming).contains(&format!("\"{function}\""))
        })
    };
    let samples = profile.samples.iter().filter(has);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let values = samples.map(|sample| sample.values[value] as f64);
    values.sum()
}

/// That an estimate is the truth, nearly.
#[track_caller]
fn check_close(what: &str, error_max: f64, truth: f64, estimate: f64) {
    let error = (estimate - truth).abs() / truth;
    say(&format!(
        "{what}: {estimate} of {truth}, off by {:.1} %",
        error * 100.0
    ));
    assert!(error <= error_max, "{what}: {estimate} instead of {truth}");
}

/// Small objects and large ones, three bytes to one: bytes and objects of both, and what is freed.
#[test]
fn bytes_and_objects_are_those_of_the_program() {
    let _turn = require_root!();
    let outcome = run(Record::program(workload("allocs").unwrap()).argument("8"));
    check_complete(&outcome);
    let profile = &outcome.profile;
    let truth = printed(&outcome);
    for (function, bytes, objects) in [
        ("allocate_small", truth[0], truth[1]),
        ("allocate_large", truth[2], truth[3]),
    ] {
        check_close(
            function,
            ERROR_MAX,
            bytes,
            sum(profile, ALLOC_SPACE, function),
        );
        check_close(
            function,
            ERROR_MAX,
            objects,
            sum(profile, ALLOC_OBJECTS, function),
        );
        let freed = sum(profile, FREE_SPACE, function);
        check_close(
            "freed again",
            0.001,
            sum(profile, ALLOC_SPACE, function),
            freed,
        );
    }
}

/// Starts a workload that prints and then waits; ends the recording when it has printed.
fn record_until_printed(program: &Path, argument: &str) -> (Recording, String) {
    let record = alloc(Record::program(program)).argument(argument);
    let recording = record.start().unwrap();
    let said = until("the workload prints", Duration::from_secs(120), || {
        let text = recording.said()?;
        Ok(text.ends_with('\n').then_some(text))
    });
    (recording, said.unwrap())
}

/// A leak of a known rate beside a heavy churn: the leak grows as it does, and the churn does not.
#[test]
fn a_leak_grows_at_its_rate_and_churn_does_not() {
    let _turn = require_root!();
    let seconds = 20.0;
    let (recording, said) = record_until_printed(&workload("leak").unwrap(), "20");
    recording.interrupt().unwrap();
    let outcome = recording.outcome().unwrap();
    check_losses(&outcome);
    check_complete(&outcome);
    let truth: Vec<f64> = (said.split_whitespace())
        .map(|word| word.parse().unwrap())
        .collect();
    let profile = &outcome.profile;
    let live = |function| sum(profile, ALLOC_SPACE, function) - sum(profile, FREE_SPACE, function);
    check_close("lost", 0.08, truth[0], live("lose"));
    let churned = sum(profile, ALLOC_SPACE, "churn");
    assert!(
        live("churn").abs() < 0.01 * churned,
        "{} of {churned}",
        live("churn")
    );
    let row = |function: &str| {
        let rows = outcome.ended.stderr.lines();
        let row = rows
            .filter(|line| line.contains(" s "))
            .find(|line| line.contains(function));
        row.unwrap_or_else(|| panic!("no {function} in {}", outcome.ended.stderr))
            .to_owned()
    };
    let leak = row(" lose ");
    let growth = leak.split(" s ").nth(2).unwrap().trim();
    let (amount, rest) = growth.split_once(' ').unwrap();
    assert!(
        rest.trim_start().starts_with("GiB") && leak.contains('+'),
        "{leak}"
    );
    let per_hour = amount.parse::<f64>().unwrap() * 1_073_741_824.0;
    check_close(
        "growth an hour",
        0.1,
        truth[0] / seconds * 3_600.0,
        per_hour,
    );
    assert!(!row(" churn ").contains('+'), "{}", outcome.ended.stderr);
}

/// A process that forks and whose children run other programs, all the time: what it allocated lives,
/// whatever its children free in their copies, and what they allocated is gone with them.
#[test]
fn memory_is_its_process_s_own() {
    let _turn = require_root!();
    let (recording, said) = record_until_printed(&workload("heirs").unwrap(), "5");
    recording.interrupt().unwrap();
    let outcome = recording.outcome().unwrap();
    let truth: f64 = said.trim().parse().unwrap();
    let profile = &outcome.profile;
    let live = sum(profile, ALLOC_SPACE, "inherit") - sum(profile, FREE_SPACE, "inherit");
    check_close("live", 0.1, truth, live);
    let freed = sum(profile, FREE_SPACE, "inherit");
    assert!(
        0.0 < freed && freed < 0.2 * truth,
        "children freed {freed} of {truth}"
    );
}

/// The functions of an allocator, each of which allocates the same number of bytes.
#[track_caller]
fn check_zoo(program: &Path, preload: Option<&Path>) -> Outcome {
    let record = match preload {
        None => Record::program(program),
        Some(library) => Record::program("/usr/bin/env")
            .argument(format!("LD_PRELOAD={}", library.display()))
            .argument(program),
    };
    let outcome = run(record.argument("100000"));
    let truth = printed(&outcome)[0];
    let functions = [
        ("by_malloc", 1.0),
        ("by_calloc", 1.0),
        ("by_realloc", 1.0),
        // A multiple of the alignment.
        ("by_alignment", 1216.0 / 1200.0),
        ("by_posix", 1.0),
    ];
    for (function, share) in functions {
        let bytes = sum(&outcome.profile, ALLOC_SPACE, function);
        let what = format!("{} {:?} {function}", program.display(), preload);
        check_close(&what, 0.08, truth * share, bytes);
    }
    outcome
}

/// A shared library of the host, by the beginning of its name.
fn library(name: &str) -> Option<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let files = folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten();
    let paths = files.flatten().map(|file| file.path());
    let is_it = |path: &PathBuf| {
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        file.starts_with(name)
    };
    paths.filter(is_it).min()
}

#[test]
fn the_c_library_s_own_allocator() {
    let _turn = require_root!();
    check_complete(&check_zoo(&workload("zoo").unwrap(), None));
}

#[test]
fn a_c_library_that_is_linked_in() {
    let _turn = require_root!();
    check_complete(&check_zoo(&workload("zoo_static").unwrap(), None));
}

#[test]
fn allocators_that_are_put_before_the_c_library() {
    let _turn = require_root!();
    for name in [
        "libjemalloc.so.2",
        "libtcmalloc_minimal.so.4",
        "libmimalloc.so.2",
    ] {
        match library(name) {
            Some(library) => {
                check_complete(&check_zoo(&workload("zoo").unwrap(), Some(&library)));
            }
            None => skip(&format!("{}: no {name}", module_path!())),
        }
    }
}

#[test]
fn a_jemalloc_that_is_linked_in() {
    let _turn = require_root!();
    match workload("zoo_jemalloc") {
        Ok(program) => check_complete(&check_zoo(&program, None)),
        Err(error) => skip(&format!("{}: {error:#}", module_path!())),
    }
}

#[test]
fn the_allocator_of_musl() {
    let _turn = require_root!();
    match workload("zoo_musl") {
        // Its start-up code comes without unwind information, so no stack reaches the start.
        Ok(program) => drop(check_zoo(&program, None)),
        Err(error) => skip(&format!("{}: {error:#}", module_path!())),
    }
}

/// Attached and taken away again and again under a load that allocates without pause: the load lives
/// on, at full speed, and nothing is left in the kernel.
#[test]
fn probes_come_and_go_and_leave_nothing_behind() {
    let _turn = require_root!();
    let load = Running::start_silent(Command::new(workload("allocs").unwrap()).arg("600")).unwrap();
    let _listed = Setting::change(LISTED, "1");
    for _ in 0..50 {
        let record = alloc(Record::process(&load)).option("-d").option("0.1");
        let mut recording = record.option("-o").option("out.json").start_bare().unwrap();
        let ended = recording.ended().unwrap();
        assert_eq!(Some(0), ended.code(), "{}", ended.stderr);
    }
    load.works_for(Duration::from_millis(100)).unwrap();
    assert_eq!(
        BTreeSet::new(),
        changed_code(load.pid()),
        "a breakpoint is left"
    );
    // The kernel frees programs a moment after the last one has run.
    until("the programs are gone", Duration::from_secs(10), || {
        Ok((sessions_in_the_kernel() == 0).then_some(()))
    })
    .unwrap();
}

/// BPF programs for sessions that are in the kernel; those that were loaded while they are listed.
fn sessions_in_the_kernel() -> usize {
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap();
    let lines = symbols.lines();
    lines
        .filter(|line| line.contains(" bpf_prog_") && line.contains("_alloc_session"))
        .count()
}

/// Addresses of the executable code of a process's C library at which it is not what the file holds.
fn changed_code(pid: u32) -> BTreeSet<u64> {
    use std::os::unix::fs::FileExt as _;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let line = maps
        .lines()
        .find(|line| line.contains("r-xp") && line.contains("libc.so"));
    let (start, rest) = line.unwrap().split_once('-').unwrap();
    let (end, _rest) = rest.split_once(' ').unwrap();
    let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
    let mut code = vec![0; usize::try_from(end - start).unwrap()];
    memory.read_exact_at(&mut code, start).unwrap();
    let on_disk = line.unwrap().split_whitespace().last().unwrap();
    let offset = line.unwrap().split_whitespace().nth(2).unwrap();
    let offset = usize::try_from(u64::from_str_radix(offset, 16).unwrap()).unwrap();
    let file = fs::read(on_disk).unwrap();
    let pairs = (start..).zip(code.iter().zip(&file[offset..]));
    let changed = pairs.filter(|(_address, (now, then))| now != then);
    changed.map(|(address, _bytes)| address).collect()
}
