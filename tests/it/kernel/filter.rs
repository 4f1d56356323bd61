//! Whose samples are kept.

use std::{fs, path::PathBuf, process::Command};

use profiler_tests::{
    harness::{Collapsed, Record, Running, skip, workload},
    require_root,
};

use super::check::run;

/// Seconds that a workload runs at most; each test ends it sooner.
const LONG: &str = "60";

/// A program that works in the background.
fn working(name: &str) -> Running {
    Running::start(Command::new(workload(name).unwrap()).arg(LONG)).unwrap()
}

/// All samples, and at least some, are of the threads of this name.
#[track_caller]
fn check_only(comm: &str, stacks: &Collapsed) {
    let own = stacks.of_comm(comm);
    assert!(own.total() > 100, "{}", stacks.heaviest(10));
    assert_eq!(own.total(), stacks.total(), "{}", stacks.heaviest(10));
}

/// Without a filter: both of two programs, and whatever else the host does.
#[test]
fn whole_host_without_a_filter() {
    let _turn = require_root!();
    let (_one, _two) = (working("split"), working("recursion"));
    let outcome = run(&Record::host().hz(499).seconds(2));
    for name in ["split", "recursion"] {
        let own = outcome.collapsed.of_comm(name);
        assert!(own.total() > 100, "{}", outcome.collapsed.heaviest(10));
    }
}

#[test]
fn one_process() {
    let _turn = require_root!();
    let (split, _other) = (working("split"), working("recursion"));
    let outcome = run(&Record::process(&split).hz(499).seconds(2));
    check_only("split", &outcome.collapsed);
    let pids = outcome.profile.tasks.iter().map(|task| task.pid.0);
    assert!(pids.into_iter().all(|pid| pid == split.pid()));
}

#[test]
fn two_processes() {
    let _turn = require_root!();
    let (one, two, _other) = (working("split"), working("recursion"), working("vdso"));
    let record = Record::process(&one)
        .option("-p")
        .option(two.pid().to_string());
    let outcome = run(&record.hz(499).seconds(2));
    let both = outcome.collapsed.select(|stack| stack.comm != "vdso");
    assert_eq!(both.total(), outcome.collapsed.total());
    assert!(both.of_comm("split").total() > 50, "{}", both.heaviest(10));
    assert!(
        both.of_comm("recursion").total() > 50,
        "{}",
        both.heaviest(10)
    );
}

#[test]
fn threads_of_one_name() {
    let _turn = require_root!();
    let (_one, _other) = (working("split"), working("recursion"));
    let record = Record::host().option("--comm").option("split");
    check_only("split", &run(&record.hz(499).seconds(2)).collapsed);
}

/// A control group of the test's own; dropping it removes it.
struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes one in the version 2 hierarchy, wherever that is mounted; `None` when it is not.
    fn new() -> Option<Self> {
        let mounts = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(PathBuf::from);
        let hierarchy = mounts
            .into_iter()
            .find(|dir| dir.join("cgroup.controllers").is_file())?;
        let dir = hierarchy.join(format!("profiler-test-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        Some(Self(dir))
    }

    /// Moves a process into it.
    fn add(&self, running: &Running) {
        fs::write(self.0.join("cgroup.procs"), running.pid().to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Refused while a process is in it; the test has then failed already.
        drop(fs::remove_dir(&self.0));
    }
}

#[test]
fn one_control_group() {
    let _turn = require_root!();
    let Some(cgroup) = Cgroup::new() else {
        skip("kernel::filter: needs control groups version 2");
        return;
    };
    let (split, _other) = (working("split"), working("recursion"));
    cgroup.add(&split);
    let record = Record::host().option("--cgroup").option(&cgroup.0);
    check_only("split", &run(&record.hz(499).seconds(2)).collapsed);
}

/// A command's children and theirs are part of it; what else runs is not.
#[test]
fn command_with_its_children() {
    let _turn = require_root!();
    let _other = working("recursion");
    let line = r#"sh -c '"$0" 500; "$0" 500' "$0"; exit 0"#;
    let record = super::check::shell_with(line, [workload("short").unwrap().into()]);
    let outcome = run(&record);
    let names: Vec<&str> = outcome
        .collapsed
        .stacks
        .iter()
        .map(|stack| &*stack.comm)
        .collect();
    assert!(
        names
            .iter()
            .all(|name| ["short", "sh", "profiler"].contains(name)),
        "{names:?}"
    );
    assert!(outcome.collapsed.of_comm("short").total() > 500);
}
