//! Nothing stays behind in the kernel: neither of signals that go on and off, nor of a product that
//! was killed.

use std::{collections::BTreeSet, fs, process::Command, time::Duration};

use aya::{
    maps::loaded_maps,
    programs::{loaded_links, loaded_programs},
};
use profiler::{
    host::probe::{
        self, Filter, ProbeOptions, SignalOptions, Unwinding, attach_lifecycle, attach_off_cpu,
        attach_sampling, attach_syscalls, detach_off_cpu, detach_sampling, detach_syscalls,
    },
    model::Signal,
};
use profiler_tests::{
    harness::{Record, Running, signal, until, workload},
    require_root,
};

/// Times that signals go on and off.
const TIMES: u32 = 200;
/// Longest time that the kernel takes to free what nobody holds any more.
const FREE_LIMIT: Duration = Duration::from_secs(30);

/// Programs, maps and links by their numbers, which the kernel gives once only.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Objects {
    programs: BTreeSet<u32>,
    maps: BTreeSet<u32>,
    links: BTreeSet<u32>,
}

impl Objects {
    /// What a process holds.
    fn of(process: &str) -> Self {
        let mut objects = Self::default();
        for entry in fs::read_dir(format!("/proc/{process}/fdinfo")).unwrap() {
            // One that is closed meanwhile is none of them.
            let facts = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
            let number = |name: &str| -> Option<u32> {
                let mut lines = facts.lines();
                lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
            };
            if let Some(link) = number("link_id:") {
                objects.links.insert(link);
            } else if let Some(map) = number("map_id:") {
                objects.maps.insert(map);
            } else {
                objects.programs.extend(number("prog_id:"));
            }
        }
        objects
    }

    /// Those of them that the kernel has still.
    fn alive(&self) -> Self {
        let programs = loaded_programs().filter_map(|program| Some(program.ok()?.id()));
        let maps = loaded_maps().filter_map(|map| Some(map.ok()?.id()));
        let links = loaded_links().filter_map(|link| Some(link.ok()?.id()));
        Self {
            programs: programs.filter(|id| self.programs.contains(id)).collect(),
            maps: maps.filter(|id| self.maps.contains(id)).collect(),
            links: links.filter(|id| self.links.contains(id)).collect(),
        }
    }

    /// Waits until the kernel has none of them.
    fn wait_until_gone(&self) {
        assert!(!self.programs.is_empty() && !self.maps.is_empty());
        let gone = || Ok((self.alive() == Self::default()).then_some(()));
        until("the kernel has freed everything", FREE_LIMIT, gone).unwrap();
    }
}

/// Pinned objects of the host.
fn pinned() -> usize {
    fs::read_dir("/sys/fs/bpf").map_or(0, Iterator::count)
}

/// Two hundred times on and off under a load that waits and calls all the time.
#[test]
fn signals_that_go_on_and_off_leave_nothing_behind() {
    let _turn = require_root!();
    let mut load = Command::new(workload("pingpong").unwrap());
    let running = Running::start(load.arg("600")).unwrap();
    let mut probe = probe::load(&ProbeOptions {
        filter: Filter::default(),
        unwinding: Unwinding::Auto,
        rate_hz: 99,
        cpus: 2,
        signals: SignalOptions::of([Signal::Cpu, Signal::OffCpu, Signal::Syscall]),
    })
    .unwrap();
    attach_lifecycle(&mut probe).unwrap();
    let before = Objects::of("self");
    let mut all = before.clone();
    for _time in 0..TIMES {
        attach_sampling(&mut probe, 99).unwrap();
        attach_off_cpu(&mut probe).unwrap();
        attach_syscalls(&mut probe).unwrap();
        let now = Objects::of("self");
        assert_eq!((&before.programs, &before.maps), (&now.programs, &now.maps));
        assert!(before.links.len() < now.links.len());
        all.links.extend(now.links);
        detach_syscalls(&mut probe);
        detach_off_cpu(&mut probe);
        detach_sampling(&mut probe);
        while probe.samples.next().is_some() {}
    }
    let stray = Objects {
        links: all.links.difference(&before.links).copied().collect(),
        ..Objects::default()
    };
    let gone = || Ok((stray.alive() == Objects::default()).then_some(()));
    until("links of signals that are off are gone", FREE_LIMIT, gone).unwrap();
    assert_eq!(before, Objects::of("self"));
    drop(probe);
    all.wait_until_gone();
    running.works_for(Duration::from_millis(100)).unwrap();
}

/// A product that is killed cannot clean up; the kernel does.
#[test]
fn a_product_that_was_killed_leaves_nothing_behind() {
    let _turn = require_root!();
    let mut load = Command::new(workload("pingpong").unwrap());
    let running = Running::start(load.arg("600")).unwrap();
    let host = Record::host().option("-e").option("cpu,offcpu,syscall");
    let pinned_before = pinned();
    let mut recording = host.start_bare().unwrap();
    recording.samples().unwrap();
    let process = recording.pid().to_string();
    let objects = Objects::of(&process);
    signal("KILL", &process).unwrap();
    recording.ended().unwrap();
    objects.wait_until_gone();
    assert_eq!(pinned_before, pinned(), "nothing was pinned");
    running.works_for(Duration::from_millis(100)).unwrap();
}
