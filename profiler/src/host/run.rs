//! The composition root: one line for each stage.

use std::{
    cmp::Reverse, collections::HashMap, ffi::OsString, path::PathBuf, process::ExitStatus,
    time::Duration,
};

use anyhow::Context as _;
use profiler_common::counter::Tally;

use super::{
    aggregate::{ProfileFacts, Window, build_profile},
    command::HeldCommand,
    coverage::CoverageOfAll,
    heap::HeapReport,
    naming::Namer,
    sampling::{Host, SamplingOptions, kernel_release, raise_priority},
    shutdown::Shutdown,
};
use crate::{
    clock,
    model::{LiveStack, Pid, Profile, Signal, StackIndex, Window as Span},
};

// What the command line needs of the stages, so that it names only the root.
pub use super::{
    bursts::Bursts,
    continuous::{SharedLabelRules, WatchOptions, WatchedWindow},
    governing::{Budget, Governed},
    labels::{LabelRules, RelabelError, Rule, RuleText},
    probe::{Filter, ProbeError, SignalOptions, Survey, Unwinding, survey},
    process::cgroup_id_and_level,
    sampling::{Cost, host_name},
    watch::watch,
};

/// Longest time between two drains of the sample ring, which holds two seconds.
pub(super) const DRAIN_INTERVAL: Duration = Duration::from_millis(100);

/// What to record.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// What to watch; each becomes a profile.
    pub signals: SignalOptions,
    /// Which tasks.
    pub filter: Filter,
    /// How user stacks are followed.
    pub unwinding: Unwinding,
    /// Samples a second and CPU.
    pub rate_hz: u32,
    /// How long; until stopped, or until the command ends, when absent.
    pub duration: Option<Duration>,
    /// A command to run and record, its children included.
    pub command: Option<Vec<OsString>>,
    /// Where compiled unwind tables are kept for the next run.
    pub cache_dir: Option<PathBuf>,
    /// Whether to look for inlined functions and lines.
    pub inlines: bool,
    /// What the recording may cost.
    pub budget: Budget,
}

/// How far a recording is.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// Sampling goes on since so long, with so many samples.
    Sampling {
        /// Time since the start.
        elapsed: Duration,
        /// Samples kept.
        samples: u64,
    },
    /// Names are looked up.
    Naming,
}

/// What was recorded.
#[derive(Debug)]
pub struct Recording {
    /// A profile of each signal, in the order of [`SignalOptions::signals`].
    pub profiles: Vec<Profile>,
    /// What lives in the end, most bytes first; its stacks are those of the profile of allocations.
    pub live: Vec<LiveStack>,
    /// How the command ended, if there was one and it ended by itself.
    pub command_status: Option<ExitStatus>,
    /// What it cost.
    pub cost: Cost,
}

/// Records a profile until the time is over, the command ends, or someone asks to stop.
///
/// # Errors
/// What kept the probe from being loaded, or the command from being run.
pub fn record(
    options: &RecordOptions,
    shutdown: &Shutdown,
    progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Recording> {
    let begun = clock::monotonic();
    let held = options
        .command
        .as_deref()
        .map(HeldCommand::start)
        .transpose();
    let held = held.context("start the command")?;
    let mut host = Host::start(&sampling_options(
        options,
        held.as_ref().map(|held| held.pid),
    ))?;
    raise_priority();
    let sampling = host.attach(&options.signals, options.rate_hz, &options.budget)?;
    let cpus = sampling.map_or(0, |sampling| sampling.cpus);
    let span_start = clock::wall();
    let started = clock::monotonic();
    let mut child = held
        .map(HeldCommand::release)
        .transpose()
        .with_context(|| {
            let program = options
                .command
                .as_deref()
                .and_then(<[_]>::first)
                .cloned()
                .unwrap_or_default();
            format!("run {}", program.display())
        })?;
    let mut command_status = None;
    while !shutdown.is_requested() && command_status.is_none() {
        let elapsed = clock::monotonic().saturating_sub(started);
        if options.duration.is_some_and(|duration| duration <= elapsed) {
            break;
        }
        let rest = options
            .duration
            .map_or(DRAIN_INTERVAL, |duration| duration.saturating_sub(elapsed));
        host.wait_and_drain(rest.min(DRAIN_INTERVAL))?;
        progress(Progress::Sampling {
            elapsed,
            samples: host.windows.samples(),
        });
        if let Some(child) = &mut child {
            command_status = child.try_wait().context("wait for the command")?;
        }
    }
    let duration = clock::monotonic().saturating_sub(started);
    host.log_counters();
    let cost = host.cost(started.saturating_sub(begun));
    let coverage = host.take_coverage();
    host.detach(&options.signals.signals);
    host.drain();
    host.collect_tables(clock::monotonic());
    progress(Progress::Naming);
    let span = Span {
        start: span_start,
        duration,
    };
    let (profiles, live) = finish(host, options, &coverage, cpus, span);
    Ok(Recording {
        profiles,
        live,
        command_status,
        cost,
    })
}

/// What to sample. A command and its children are a filter.
fn sampling_options(options: &RecordOptions, command: Option<Pid>) -> SamplingOptions {
    let mut filter = options.filter.clone();
    filter.pids.extend(command);
    SamplingOptions {
        filter,
        unwinding: options.unwinding,
        rate_hz: options.rate_hz,
        cache_dir: options.cache_dir.clone(),
        signals: options.signals.clone(),
    }
}

/// Names everything and makes the profiles.
fn finish(
    mut host: Host,
    options: &RecordOptions,
    coverage: &CoverageOfAll,
    cpus: u32,
    span: Span,
) -> (Vec<Profile>, Vec<LiveStack>) {
    let heap = host
        .allocations
        .take()
        .map(|live| live.report(clock::monotonic()));
    let counts = host.take_counts();
    let common = ProfileFacts {
        host: host_name(),
        span,
        kernel_release: kernel_release(),
        ..ProfileFacts::default()
    };
    let common = |signal| ProfileFacts {
        duty_cycle: Some(coverage.of(signal).duty),
        overhead: coverage.of(signal).overhead,
        ..common.clone()
    };
    let facts = |signal| match signal {
        Signal::Cpu => ProfileFacts {
            rate_asked_hz: f64::from(options.rate_hz),
            cpus,
            idle: counts.idle,
            filtered: counts.of(signal, Tally::Filtered),
            lost: counts.lost(signal),
            ..common(signal)
        },
        Signal::OffCpu
        | Signal::Syscall
        | Signal::SyscallCounts
        | Signal::Alloc
        | Signal::PageFault
        | Signal::Tcp
        | Signal::TcpCounts
        | Signal::Imported => ProfileFacts {
            lost: counts.lost(signal),
            ..common(signal)
        },
    };
    let Host {
        probe,
        tables,
        processes,
        windows,
        vdso,
        ..
    } = host;
    // The maps are not needed any more; names need the memory.
    drop((probe, tables));
    let mut windows = windows.into_last();
    let objects = processes.objects.share();
    let live = live_stacks(&windows, heap.unwrap_or_default());
    let mut namer = Namer::new(options.inlines);
    let mut profiles = Vec::new();
    for signal in &options.signals.signals {
        let Some(window) = windows.iter_mut().find(|window| window.signal == *signal) else {
            continue;
        };
        window.scale(coverage.of(*signal).unrepresented());
        let names = namer.name(window, &objects, vdso.as_ref());
        profiles.push(build_profile(window, &names, &facts(*signal)));
    }
    (profiles, live)
}

/// What lives, by stack of the window of allocations. One process has a stack once, whichever of its
/// threads allocate there.
fn live_stacks(windows: &[Window], heap: HeapReport) -> Vec<LiveStack> {
    let Some(window) = (windows.iter()).find(|window| window.signal == Signal::Alloc) else {
        return Vec::new();
    };
    let mut live: Vec<LiveStack> = Vec::new();
    let mut places: HashMap<(Pid, u32), usize> = HashMap::new();
    for found in heap.stacks {
        let Some(stack) = window.stack_of(&found.stack) else {
            continue;
        };
        let row = LiveStack {
            pid: found.stack.pid,
            stack: StackIndex(stack),
            bytes: found.bytes,
            objects: found.objects,
            samples: found.samples,
            age_max: found.age_max,
            age_mean: found.age_mean,
            growth_bytes_per_hour: found.growth_bytes_per_hour,
            is_suspect: found.is_suspect,
        };
        let place = *places.entry((row.pid, stack)).or_insert(live.len());
        match live.get_mut(place) {
            Some(known) => known.add(&row),
            None => live.push(row),
        }
    }
    live.sort_by_key(|row| Reverse(row.bytes));
    live
}
