//! Where the result goes, and what happens when it cannot.

use std::{fs, path::Path, process::Command};

use profiler::render::{Format, read};
use profiler_tests::{
    harness::{Collapsed, Record, workload},
    require_root,
};
use tempfile::TempDir;

use super::check::{FAST_HZ, record, shell_with};

#[test]
fn data_goes_to_standard_output_and_words_to_standard_error() {
    let _turn = require_root!();
    let record = Record::program(workload("short").unwrap())
        .hz(FAST_HZ)
        .argument("500");
    let options = ["-o", "-", "--format", "collapsed"];
    let record = options.into_iter().fold(record, Record::option);
    let ended = record.start_bare().unwrap().ended().unwrap();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let stacks = Collapsed::parse(&ended.stdout).unwrap();
    assert!(stacks.of_comm("short").total() > 200, "{}", ended.stdout);
}

/// Every format by its extension, in one run.
#[test]
fn every_format_is_written() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let files = [
        "p.svg",
        "p.collapsed",
        "p.txt",
        "p.pb.gz",
        "p.speedscope.json",
        "p.json",
    ];
    let record = files.iter().fold(record("split", 1), |record, file| {
        record.option("-o").option(dir.path().join(file))
    });
    let ended = record.start_bare().unwrap().ended().unwrap();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    for file in files {
        let bytes = fs::read(dir.path().join(file)).unwrap();
        let starts: &[&[u8]] = match file {
            "p.svg" => &[b"<?xml"],
            "p.pb.gz" => &[b"\x1f\x8b"],
            "p.speedscope.json" | "p.json" => &[b"{"],
            // On a busy machine a sample meets the command before it has become the program.
            _ => &[b"split;", b"profiler;"],
        };
        let starts_so = starts.iter().any(|start| bytes.starts_with(start));
        assert!(starts_so, "{file} starts wrong");
        assert!(bytes.len() > 200, "{file} has {} bytes", bytes.len());
    }
}

/// pprof has room for the values of several events; the other formats have a file for each.
#[test]
fn one_pprof_file_holds_several_events() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let mut record = record("waits", 2).option("-e").option("cpu,offcpu");
    for file in ["both.pb.gz", "both.txt"] {
        record = record.option("-o").option(dir.path().join(file));
    }
    let ended = record.start_bare().unwrap().ended().unwrap();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    for file in ["both.cpu.txt", "both.offcpu.txt"] {
        assert!(dir.path().join(file).is_file(), "no {file}");
    }
    let bytes = fs::read(dir.path().join("both.pb.gz")).unwrap();
    let profile = read(&bytes, Format::Pprof).unwrap();
    let kinds = profile.value_types.iter().map(|each| each.kind.as_str());
    let expected = ["samples", "cpu", "delay", "events", "runqueue"];
    assert_eq!(expected.as_slice(), kinds.collect::<Vec<_>>());
    let sum = |value: usize| -> u64 {
        let values = profile.samples.iter().map(|sample| sample.values[value]);
        values.sum()
    };
    assert!(
        0 < sum(0) && 1_000_000_000 < sum(2),
        "{} {}",
        sum(0),
        sum(2)
    );
}

/// Found before anything is recorded: the command has not run.
#[test]
fn unwritable_output_fails_before_the_recording() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let mark = dir.path().join("ran");
    let output = dir.path().join("missing/out.collapsed");
    let record = shell_with(r#"touch "$0""#, [mark.clone().into()]);
    let ended = record
        .option("-o")
        .option(&output)
        .start_bare()
        .unwrap()
        .ended()
        .unwrap();
    assert_ne!(ended.code(), Some(0));
    assert!(
        ended.stderr.contains("missing/out.collapsed"),
        "{}",
        ended.stderr
    );
    assert!(!mark.is_file(), "the command ran");
}

/// A file system with room for nothing; dropping it unmounts it.
struct FullDisk(TempDir);

impl FullDisk {
    /// Mounts one page of memory, and fills it.
    fn new() -> Self {
        let disk = Self(TempDir::new().unwrap());
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=4k", "none"])
            .arg(disk.path());
        assert!(mount.status().unwrap().success());
        fs::write(disk.path().join("filler"), [1; 4096]).unwrap();
        disk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        // A failure shows when the folder cannot be removed after it.
        drop(Command::new("umount").arg(self.0.path()).status());
    }
}

#[test]
fn full_disk_is_a_clear_error() {
    let _turn = require_root!();
    let disk = FullDisk::new();
    for name in ["out.collapsed", "out.svg", "out.json", "out.pb.gz"] {
        let output = disk.path().join(name);
        let record = record("split", 1).option("-o").option(&output);
        let ended = record.start_bare().unwrap().ended().unwrap();
        assert_ne!(ended.code(), Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
        assert!(
            ended.stderr.to_lowercase().contains("no space left"),
            "{}",
            ended.stderr
        );
    }
}
