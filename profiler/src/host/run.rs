//! The composition root: one line for each stage.

use std::{
    ffi::OsString,
    io,
    os::fd::{AsFd as _, BorrowedFd},
    path::PathBuf,
    process::ExitStatus,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use profiler_common::counter::Counter;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    aggregate::{ProfileFacts, Window, build_profile},
    command::HeldCommand,
    naming, object,
    probe::{self, KernelMapping, Probe, ProbeOptions, Sampling},
    process::{Changes, Object, ProcessTable, processes_by_cpu_time},
    ring::{PerfRing, ProcessEvents, decode_notice, decode_sample},
    shutdown::Shutdown,
    table_loader::{ObjectBytes, TableLoader, slot_of},
};
use crate::{
    clock,
    model::{Event, Loss, Pid, Profile, StackSample, UserFrame, Window as Span},
};

// What the command line needs of the stages, so that it names only the root.
pub use super::{
    probe::{Filter, ProbeError, Survey, Unwinding, survey},
    process::cgroup_id_and_level,
};

/// Longest time between two drains of the sample ring, which holds two seconds.
const DRAIN_INTERVAL: Duration = Duration::from_millis(100);
/// Pause after a wake-up, so that a burst of process records costs one drain and not one each.
/// A process that lives for milliseconds must be known before its first sample, so it is short.
const BATCH_PAUSE: Duration = Duration::from_micros(200);
/// Scheduling weight of the thread that tells the probe of new programs: every moment it waits for
/// a CPU, their stacks are cut. It sleeps nearly always.
const TRACKER_NICENESS: i32 = -20;
/// Longest wait for the tables of running processes before sampling starts.
const WARM_START_MAX: Duration = Duration::from_secs(10);

/// What to record.
#[derive(Clone, Debug)]
pub struct RecordOptions {
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
    /// The profile.
    pub profile: Profile,
    /// How the command ended, if there was one and it ended by itself.
    pub command_status: Option<ExitStatus>,
    /// What it cost.
    pub cost: Cost,
}

/// What a recording cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Time inside the sampling program, and its runs; absent where the kernel cannot tell.
    pub sampler: Option<(Duration, u64)>,
    /// User frames walked.
    pub frames_walked: u64,
    /// Bytes of unwind tables in the kernel.
    pub table_size_bytes: u64,
    /// Distinct unwind rules in the kernel.
    pub rules: usize,
    /// From the start of the program to the first sample.
    pub started_after: Duration,
}

/// The daemon's working state.
struct Host {
    probe: Probe,
    events: ProcessEvents,
    processes: ProcessTable,
    tables: TableLoader,
    window: Window,
    vdso: Option<Arc<[u8]>>,
    undecodable: u64,
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
    let mut host = Host::start(options, held.as_ref().map(|held| held.pid))?;
    raise_priority();
    let sampling = probe::attach_sampling(&mut host.probe, options.rate_hz)?;
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
            samples: host.window.samples,
        });
        if let Some(child) = &mut child {
            command_status = child.try_wait().context("wait for the command")?;
        }
    }
    let duration = clock::monotonic().saturating_sub(started);
    let cost = host.cost(started.saturating_sub(begun));
    probe::detach_sampling(&mut host.probe)?;
    host.drain();
    progress(Progress::Naming);
    let span = Span {
        start: span_start,
        duration,
    };
    let profile = host.finish(options, sampling, span);
    Ok(Recording {
        profile,
        command_status,
        cost,
    })
}

impl Host {
    /// Loads the probe and prepares every process that runs.
    fn start(options: &RecordOptions, command: Option<Pid>) -> anyhow::Result<Self> {
        raise_file_limit();
        let mut filter = options.filter.clone();
        filter.pids.extend(command);
        let cpus = u32::try_from(std::thread::available_parallelism().map_or(1, usize::from))
            .context("count CPUs")?;
        let mut probe = probe::load(&ProbeOptions {
            filter,
            unwinding: options.unwinding,
            rate_hz: options.rate_hz,
            cpus,
        })?;
        // Records first, then hooks, then what runs already: nothing that starts meanwhile is missed.
        let rings = probe::open_process_events()?
            .into_iter()
            .map(PerfRing::new)
            .collect::<io::Result<Vec<_>>>()
            .context("map the rings of process records")?;
        probe::attach_lifecycle(&mut probe)?;
        let (rules, tables) = probe.take_tables()?;
        let mut host = Self {
            probe,
            events: ProcessEvents::new(rings),
            processes: ProcessTable::new(object::build_id_of),
            tables: TableLoader::start(rules, tables, options.cache_dir.clone()),
            window: Window::default(),
            vdso: naming::read_vdso(),
            undecodable: 0,
        };
        let mut changes = Changes::default();
        for pid in processes_by_cpu_time() {
            host.processes.read(pid, &mut changes);
        }
        host.apply(&changes);
        host.tables.wait_idle(WARM_START_MAX);
        Ok(host)
    }

    /// Waits for process records or notices, at most so long; then drains everything.
    fn wait_and_drain(&mut self, at_most: Duration) -> anyhow::Result<()> {
        let notices = self.probe.notices.as_fd();
        let rings = self.events.rings().iter().map(PerfRing::as_fd);
        let mut fds: Vec<PollFd<'_>> = rings
            .chain([notices])
            .map(|fd: BorrowedFd<'_>| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let timeout = Timespec::try_from(at_most).context("a drain interval is short")?;
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for the kernel"),
        }
        drop(fds);
        self.drain();
        clock::sleep(BATCH_PAUSE);
        Ok(())
    }

    /// Takes everything the kernel has for us: what happened to processes first, so that samples
    /// meet the mappings they were taken with.
    fn drain(&mut self) {
        let now = clock::monotonic();
        let mut changes = Changes::default();
        for event in self.events.drain(now) {
            self.handle(event, now, &mut changes);
        }
        for event in self.take_notices() {
            self.handle(event, now, &mut changes);
        }
        self.apply(&changes);
        while let Some(record) = self.probe.samples.next() {
            match decode_sample(&record) {
                Ok(sample) => self.window.add(&locate(&self.processes, sample)),
                Err(_malformed) => self.window.lose(Loss::Undecodable),
            }
        }
        (self.probe.flush_log)();
        self.processes.forget_ended(now);
    }

    /// Takes what the probe wants repaired.
    fn take_notices(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(record) = self.probe.notices.next() {
            match decode_notice(&record) {
                Ok(event) => events.push(event),
                Err(_malformed) => self.undecodable += 1,
            }
        }
        events
    }

    /// One event.
    fn handle(&mut self, event: Event, now: Duration, changes: &mut Changes) {
        match event {
            Event::Forked { parent, child } => self.processes.forked(parent, child, changes),
            Event::Executed { pid } => self.processes.executed(pid, changes),
            Event::Forgotten { pid } => _ = changes.changed.insert(pid),
            Event::Mapped(mapping) => self.processes.mapped(&mapping, changes),
            Event::Exited { pid, tid } => self.processes.exited(pid, tid, now, changes),
            Event::Unknown { pid } => self.processes.repair(pid, now, changes),
            Event::ProcessRecordsLost { count } => {
                tracing::warn!(count, "process records lost; reading all processes again");
                for pid in processes_by_cpu_time() {
                    self.processes.read(pid, changes);
                }
            }
        }
    }

    /// Tells the probe and the compiler what changed. Mappings go first: a table that comes later
    /// is found by its slot.
    fn apply(&mut self, changes: &Changes) {
        for pid in &changes.ended {
            self.probe.mappings.remove(*pid);
            self.probe.remove_target(*pid);
        }
        for pid in &changes.changed {
            let mappings: Vec<KernelMapping> = (self.processes.mappings(*pid).iter())
                .map(|mapping| KernelMapping {
                    start: mapping.start,
                    end: mapping.end,
                    file_offset: mapping.file_offset,
                    object: mapping.object,
                    slot: mapping.object.and_then(slot_of),
                })
                .collect();
            self.probe.mappings.replace(*pid, &mappings);
        }
        for id in &changes.new_objects {
            let Some(object) = self.processes.objects.get(*id) else {
                continue;
            };
            if let Some(bytes) = object_bytes(object, self.vdso.as_ref()) {
                self.tables.ask(*id, object.build_id.clone(), bytes);
            }
        }
    }

    /// Says what the probe counted, for whoever asks with `-v`.
    fn log_counters(&self) {
        for counter in Counter::ALL {
            tracing::debug!(
                ?counter,
                count = self.probe.count(*counter),
                "counted by the probe"
            );
        }
        let mappings = self.probe.mappings.refused();
        let tables = self.tables.refused();
        tracing::debug!(
            mappings,
            tables,
            undecodable = self.undecodable + self.events.undecodable(),
            "refused or undecodable"
        );
    }

    /// What it cost so far.
    fn cost(&self, started_after: Duration) -> Cost {
        self.log_counters();
        let (table_size_bytes, rules) = self.tables.kernel_use();
        Cost {
            sampler: self.probe.sampler_run_time(),
            frames_walked: self.probe.count(Counter::FramesWalked),
            table_size_bytes,
            rules,
            started_after,
        }
    }

    /// Names everything and makes the profile.
    fn finish(self, options: &RecordOptions, sampling: Sampling, span: Span) -> Profile {
        let kernel = |counter| self.probe.count(counter);
        let mut facts = ProfileFacts {
            host: host_name(),
            span,
            kernel_release: kernel_release(),
            rate_asked_hz: f64::from(options.rate_hz),
            cpus: sampling.cpus,
            idle: kernel(Counter::SamplesIdle),
            filtered: kernel(Counter::SamplesFiltered),
            ..ProfileFacts::default()
        };
        let lost = [
            (Loss::RingFull, Counter::SamplesRingFull),
            (Loss::ScratchBusy, Counter::SamplesScratchBusy),
        ];
        for (loss, counter) in lost {
            if let count @ 1.. = kernel(counter) {
                facts.lost.insert(loss, count);
            }
        }
        // The maps are not needed any more; names need the memory.
        let Self {
            probe,
            tables,
            processes,
            window,
            vdso,
            ..
        } = self;
        drop((probe, tables));
        let names = naming::name_places(&window, &processes, vdso.as_ref(), options.inlines);
        build_profile(&window, &names, &facts)
    }
}

/// Finds the mappings of bare frames: what the probe could not know, the daemon may know by now.
fn locate(processes: &ProcessTable, mut sample: StackSample) -> StackSample {
    for frame in &mut sample.user {
        if let UserFrame::Bare(address) = *frame {
            *frame = processes.locate(sample.pid, address);
        }
    }
    sample
}

/// Where the bytes of an object are, when they can be had.
fn object_bytes(object: &Object, vdso: Option<&Arc<[u8]>>) -> Option<ObjectBytes> {
    if object.path == "[vdso]" {
        return vdso.map(|image| ObjectBytes::Image(Arc::clone(image)));
    }
    object
        .file
        .as_ref()
        .map(|file| ObjectBytes::File(Arc::clone(file)))
}

/// Every object file stays open until it is named: as many as the system lets us.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit on open files stays as it is");
    }
}

/// Puts this thread before others; threads made before and after keep their own weight.
fn raise_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, TRACKER_NICENESS) {
        tracing::debug!(%error, "the tracker runs at the usual priority");
    }
}

/// This host's name.
fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The running kernel's release.
fn kernel_release() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}
