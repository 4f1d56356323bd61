//! Nothing stays behind in the kernel: neither of signals that go on and off, nor of a product that
//! was killed.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    process::Command,
    time::Duration,
};

use aya::{
    maps::loaded_maps,
    programs::{loaded_links, loaded_programs},
};
use profiler::{
    host::probe::{
        self, Filter, ProbeOptions, SignalOptions, Unwinding, attach_lifecycle, attach_off_cpu,
        attach_sampling, attach_syscalls, attach_tcp, detach_off_cpu, detach_sampling,
        detach_syscalls, detach_tcp, pause_off_cpu,
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

/// The code of a process that is not as it is in its files: files whose functions are probed.
fn probed_files(pid: u32) -> BTreeSet<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut probed = BTreeSet::new();
    let mut looked_at = 0;
    for line in maps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [range, "r-xp", offset, _device, _inode, path] = words[..] else {
            continue;
        };
        let Ok(file) = File::open(path) else {
            continue;
        };
        let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let length = usize::try_from(hex(end) - hex(start)).unwrap();
        let (mut mapped, mut filed) = (vec![0; length], vec![0; length]);
        memory.read_exact_at(&mut mapped, hex(start)).unwrap();
        // The file may end within its last page.
        let read = file.read_at(&mut filed, hex(offset)).unwrap();
        looked_at += 1;
        if mapped[..read] != filed[..read] {
            probed.insert(path.to_owned());
        }
    }
    assert!(1 < looked_at, "its program and its library at least");
    probed
}

/// Two hundred times one of the signals goes on and off, under a load that waits and calls all the
/// time.
#[test]
fn signals_that_go_on_and_off_leave_nothing_behind() {
    let _turn = require_root!();
    let mut load = Command::new(workload("pingpong").unwrap());
    let running = Running::start_silent(load.arg("600")).unwrap();
    let pinned_before = pinned();
    let mut probe = probe::load(&ProbeOptions {
        filter: Filter::default(),
        unwinding: Unwinding::Auto,
        rate_hz: 99,
        cpus: 2,
        signals: SignalOptions::of([Signal::Cpu, Signal::OffCpu, Signal::Syscall, Signal::Tcp]),
    })
    .unwrap();
    attach_lifecycle(&mut probe).unwrap();
    let before = Objects::of("self");
    let mut all = before.clone();
    for time in 0..TIMES {
        match time % 4 {
            0 => attach_sampling(&mut probe, 99).map(drop).unwrap(),
            1 => attach_off_cpu(&mut probe).map(drop).unwrap(),
            2 => attach_syscalls(&mut probe).unwrap(),
            _ => attach_tcp(&mut probe).unwrap(),
        }
        let now = Objects::of("self");
        assert_eq!((&before.programs, &before.maps), (&now.programs, &now.maps));
        all.links.extend(now.links);
        match time % 4 {
            0 => detach_sampling(&mut probe),
            1 => {
                // As between two slices: only the end of waits is seen.
                pause_off_cpu(&mut probe);
                detach_off_cpu(&mut probe);
            }
            2 => detach_syscalls(&mut probe),
            _ => detach_tcp(&mut probe),
        }
        while probe.samples.next().is_some() {}
    }
    assert!(
        before.links.len() + usize::try_from(TIMES).unwrap() <= all.links.len(),
        "each time had a link of its own"
    );
    let stray = Objects {
        links: all.links.difference(&before.links).copied().collect(),
        ..Objects::default()
    };
    let gone = || Ok((stray.alive() == Objects::default()).then_some(()));
    until("links of signals that are off are gone", FREE_LIMIT, gone).unwrap();
    assert_eq!(before, Objects::of("self"));
    drop(probe);
    all.wait_until_gone();
    assert_eq!(pinned_before, pinned(), "nothing was pinned");
    running.works_for(Duration::from_millis(100)).unwrap();
}

/// A product that is killed cannot clean up; the kernel does.
#[test]
fn a_product_that_was_killed_leaves_nothing_behind() {
    let _turn = require_root!();
    let mut load = Command::new(workload("pingpong").unwrap());
    let running = Running::start_silent(load.arg("600")).unwrap();
    let mut host = Record::process(&running).unlimited();
    host = host.option("-e").option("cpu,offcpu,syscall,alloc");
    let pinned_before = pinned();
    let mut recording = host.start_bare().unwrap();
    recording.samples().unwrap();
    let process = recording.pid().to_string();
    let objects = Objects::of(&process);
    let probed = probed_files(running.pid());
    assert!(!probed.is_empty(), "its allocator is probed");
    signal("KILL", &process).unwrap();
    recording.ended().unwrap();
    objects.wait_until_gone();
    assert_eq!(pinned_before, pinned(), "nothing was pinned");
    let gone = || Ok((probed_files(running.pid()).is_empty()).then_some(()));
    until("no function is probed any more", FREE_LIMIT, gone).unwrap();
    running.works_for(Duration::from_millis(100)).unwrap();
}
