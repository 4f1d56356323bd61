//! The stages from the probe to the counted window, for as long as they run.
//!
//! Part of the composition root.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use profiler_common::{
    counter::{Counter, Tally},
    sample::SignalCode,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    allocations::Allocations,
    allocator_watch::AllocatorWatch,
    coverage::CoverageOfAll,
    governing::{Budget, Governed, Governing, OwnWork, SliceSwitch},
    governor::Relief,
    hooks,
    kernel_counts::KernelCounts,
    naming, object,
    probe::{
        self, Filter, KernelMapping, Probe, ProbeError, ProbeOptions, Sampling, SignalOptions,
        Unwinding,
    },
    process::{Changes, Object, ProcessTable, processes_by_cpu_time},
    ring::{PerfRing, ProcessEvents, decode_notice, decode_sample},
    scheduler_text::SchedulerText,
    table_loader::{ObjectBytes, Slot, TableLoader},
    table_rows,
    windows::Windows,
};
use crate::{
    clock,
    model::{BuildId, Event, Loss, ObjectId, Pid, Signal, StackSample},
};

/// Pause after a wake-up, so that a burst of process records costs one drain and not one each.
/// A process that lives for milliseconds must be known before its first sample, so it is short.
const BATCH_PAUSE: Duration = Duration::from_micros(200);
/// Scheduling weight of the thread that tells the probe of new programs: every moment it waits for
/// a CPU, their stacks are cut. It sleeps nearly always.
const TRACKER_NICENESS: i32 = -20;
/// Longest wait for the tables of running processes before sampling starts.
const WARM_START_MAX: Duration = Duration::from_secs(10);
/// Longest wait for allocators to be probed, or not, when the governor changed that.
const ALLOCATORS_SWITCH_MAX: Duration = Duration::from_millis(500);
/// Time between two refreshes.
const REFRESH_PAUSE: Duration = Duration::from_secs(1);

/// What to sample, and how.
#[derive(Clone, Debug)]
pub(super) struct SamplingOptions {
    /// Which tasks.
    pub(super) filter: Filter,
    /// How user stacks are followed.
    pub(super) unwinding: Unwinding,
    /// Samples a second and CPU.
    pub(super) rate_hz: u32,
    /// Where compiled unwind tables are kept for the next run.
    pub(super) cache_dir: Option<PathBuf>,
    /// What is watched.
    pub(super) signals: SignalOptions,
}

/// What sampling cost.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// Time inside the sampling program, and its runs; absent where the kernel cannot tell.
    pub sampler: Option<(Duration, u64)>,
    /// Time inside the programs at the start and at the end of a wait off the CPU, and their runs.
    pub off_cpu: Option<[(Duration, u64); 2]>,
    /// Time inside the programs at the start and at the end of a system call, and their runs.
    pub syscalls: Option<[(Duration, u64); 2]>,
    /// Time inside all programs that watch TCP connections, and their runs.
    pub tcp: Option<(Duration, u64)>,
    /// Samples that the probe sent.
    pub samples_sent: u64,
    /// User frames walked.
    pub frames_walked: u64,
    /// Bytes of unwind tables in the kernel.
    pub table_size_bytes: u64,
    /// Distinct unwind rules in the kernel.
    pub rules: usize,
    /// From the start of the program to the first sample.
    pub started_after: Duration,
    /// What the governor says of itself.
    pub governed: Governed,
}

/// A table to ask for.
struct WantedTable {
    object: ObjectId,
    slot: Slot,
    build_id: Option<BuildId>,
    bytes: ObjectBytes,
}

/// The probe, and all that is known of the host.
pub(super) struct Host {
    /// The probe.
    pub(super) probe: Probe,
    events: ProcessEvents,
    /// Processes and the files they map.
    pub(super) processes: ProcessTable,
    /// Unwind tables.
    pub(super) tables: TableLoader,
    /// Counted samples.
    pub(super) windows: Box<Windows>,
    /// The vDSO.
    pub(super) vdso: Option<Arc<[u8]>>,
    /// Finds and probes allocators, while allocations are watched.
    allocators: Option<AllocatorWatch>,
    /// Whether they are probed now.
    probes_allocators: bool,
    /// What lives, while allocations are watched.
    pub(super) allocations: Option<Allocations>,
    undecodable: u64,
    /// Keeps it all within its budget, once something is attached.
    pub(super) governing: Option<Box<Governing>>,
    /// CPU time that taking samples out of the ring took so far.
    drain_cpu: Duration,
    /// Whether there are exact tables to take.
    counts_exactly: bool,
    /// Rows that an exact table has room for.
    table_rows: u64,
    /// What the probe had counted when it was last asked.
    counted: KernelCounts,
    refreshed_at: Duration,
}

impl Host {
    /// Loads the probe and prepares every process that runs.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn start(options: &SamplingOptions) -> anyhow::Result<Self> {
        raise_file_limit();
        let cpus = u32::try_from(std::thread::available_parallelism().map_or(1, usize::from))
            .context("count CPUs")?;
        let mut probe = probe::load(&ProbeOptions {
            filter: options.filter.clone(),
            unwinding: options.unwinding,
            rate_hz: options.rate_hz,
            cpus,
            signals: options.signals.clone(),
        })?;
        // Records first, then hooks, then what runs already: nothing that starts meanwhile is missed.
        let rings = probe::open_process_events()?
            .into_iter()
            .map(PerfRing::new)
            .collect::<io::Result<Vec<_>>>()
            .context("map the rings of process records")?;
        probe::attach_lifecycle(&mut probe)?;
        let (rules, tables) = probe.take_tables()?;
        let (allocators, live) = probe.take_allocations().unzip();
        let mut host = Self {
            probe,
            events: ProcessEvents::new(rings),
            processes: ProcessTable::new(object::build_id_of),
            tables: TableLoader::start(rules, tables, options.cache_dir.clone()),
            windows: Box::default(),
            vdso: naming::read_vdso(),
            allocators: allocators.map(AllocatorWatch::new),
            probes_allocators: true,
            allocations: live
                .map(|live| Allocations::new(options.signals.alloc_period_bytes, live)),
            undecodable: 0,
            governing: None,
            drain_cpu: Duration::ZERO,
            table_rows: u64::from(probe::table_rows()),
            counts_exactly: (options.signals).watches(&[Signal::SyscallCounts, Signal::TcpCounts]),
            counted: KernelCounts::default(),
            refreshed_at: clock::monotonic(),
        };
        if options.signals.watches(&[Signal::OffCpu]) {
            host.windows.scheduler = SchedulerText::read();
        }
        let mut changes = Changes::default();
        for pid in processes_by_cpu_time() {
            host.processes.read(pid, &mut changes);
        }
        host.apply(&changes);
        host.tables.wait_idle(WARM_START_MAX);
        Ok(host)
    }

    /// Waits for process records or notices, at most so long; then drains everything.
    ///
    /// # Errors
    /// When the kernel cannot be waited for.
    pub(super) fn wait_and_drain(&mut self, at_most: Duration) -> anyhow::Result<()> {
        let due = self.governing.as_deref().map(Governing::due);
        let due = due.map(|due| due.saturating_sub(clock::monotonic()));
        let at_most = due.map_or(at_most, |due| due.min(at_most));
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
        self.govern()?;
        self.drain();
        // The work is done: in a slice, the load is to be what it is without it.
        self.begin_slices()?;
        clock::sleep(BATCH_PAUSE);
        Ok(())
    }

    /// Has the governor do what is due.
    fn govern(&mut self) -> anyhow::Result<()> {
        let (table_size_bytes, _rules) = self.tables.kernel_use();
        let own = OwnWork {
            drain_cpu: self.drain_cpu,
            table_size_bytes,
        };
        let Some(governing) = &mut self.governing else {
            return Ok(());
        };
        let switches = governing.poll(&mut self.probe, &own)?;
        self.windows.cramp(Relief::Stacks <= governing.relief());
        for switch in switches.iter().filter(|switch| switch.is_on) {
            self.switch_slice(switch)?;
        }
        self.follow_allocators();
        Ok(())
    }

    /// Has allocators probed, or not, as the governor wants it. What is freed in a pause is not seen,
    /// so what lives is forgotten: it counts as freed, and the live heap begins anew after the pause.
    fn follow_allocators(&mut self) {
        let (Some(watch), Some(governing)) = (&self.allocators, &self.governing) else {
            return;
        };
        let is_wanted = governing.is_on(Signal::Alloc);
        if is_wanted == self.probes_allocators {
            return;
        }
        self.probes_allocators = is_wanted;
        if is_wanted {
            watch.start_probing(ALLOCATORS_SWITCH_MAX);
            return;
        }
        watch.pause(ALLOCATORS_SWITCH_MAX);
        self.drain();
        let now = clock::monotonic();
        let ended = (self.allocations.as_mut()).map(|allocations| allocations.end_all(now));
        for counted in ended.unwrap_or_default() {
            self.windows.add(counted, 1.0, &self.processes);
        }
    }

    /// Begins the slices that are due after a pause.
    fn begin_slices(&mut self) -> anyhow::Result<()> {
        let switches = (self.governing.as_deref()).map(Governing::due_switches);
        let switches = switches.unwrap_or_default();
        for switch in switches.iter().filter(|switch| !switch.is_on) {
            self.switch_slice(switch)?;
        }
        Ok(())
    }

    /// Ends a slice, or begins one. What the probe counted in a table weighs as much as the slice.
    fn switch_slice(&mut self, switch: &SliceSwitch) -> anyhow::Result<()> {
        let Some(governing) = &mut self.governing else {
            return Ok(());
        };
        if switch.is_on {
            let weight = governing.end_slice(&mut self.probe, switch);
            if switch.signal.table().is_some() && !switch.goes_on_whole(weight) {
                let over = switch.signal.table().map(|table| (table, weight));
                self.collect_weighted(clock::monotonic(), over);
            }
        }
        match &mut self.governing {
            Some(governing) => governing.begin_slice(&mut self.probe, switch),
            None => Ok(()),
        }
    }

    /// What happened to each signal since this was last asked.
    pub(super) fn take_coverage(&mut self) -> CoverageOfAll {
        let governing = self.governing.as_deref_mut();
        governing.map(Governing::take_coverage).unwrap_or_default()
    }

    /// Takes everything the kernel has for us: what happened to processes first, so that samples
    /// meet the mappings they were taken with.
    pub(super) fn drain(&mut self) {
        let now = clock::monotonic();
        let mut changes = Changes::default();
        for event in self.events.drain(now) {
            self.handle(event, now, &mut changes);
        }
        for event in self.take_notices() {
            self.handle(event, now, &mut changes);
        }
        self.apply(&changes);
        let begun = clock::thread_cpu();
        while let Some(decoded) = (self.probe.samples.next()).map(|record| decode_sample(&record)) {
            match decoded {
                Ok(sample) => self.count(sample),
                Err(_malformed) => self.windows.lose(Loss::Undecodable),
            }
        }
        self.collect_full_tables(now);
        self.drain_cpu += clock::thread_cpu().saturating_sub(begun);
        (self.probe.flush_log)();
        for pid in self.processes.forget_ended(now) {
            self.windows.forget_labels(pid);
            if let Some(allocations) = &mut self.allocations {
                allocations.forget(pid);
            }
        }
        if let Some(allocations) = &mut self.allocations {
            let refused = allocations.look(now);
            self.windows
                .lose_of(Signal::Alloc, Loss::TableFull, refused);
        }
    }

    /// Counts a sample, and what follows from it.
    fn count(&mut self, sample: StackSample) {
        let weight = weight_of(self.governing.as_deref(), &sample);
        let Some(allocations) = &mut self.allocations else {
            self.windows.add(sample, weight, &self.processes);
            return;
        };
        for counted in allocations.take(sample, &self.processes) {
            self.windows.add(counted, weight, &self.processes);
        }
    }

    /// The memory of a process is gone.
    fn end_memory(&mut self, pid: Pid, at: Duration) {
        if let Some(watch) = &mut self.allocators {
            watch.ended(pid);
        }
        let Some(allocations) = &mut self.allocations else {
            return;
        };
        for counted in allocations.end(pid, at) {
            self.windows.add(counted, 1.0, &self.processes);
        }
    }

    /// Starts what is to be watched, and has it governed; allocators that are mapped now are probed
    /// when this returns. Says how time on the CPU is sampled, when it is.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn attach(
        &mut self,
        options: &SignalOptions,
        rate_hz: u32,
        budget: &Budget,
    ) -> anyhow::Result<Option<Sampling>> {
        let sampling = hooks::attach(&mut self.probe, options, rate_hz)?;
        if let Some(watch) = &self.allocators {
            watch.start_probing(WARM_START_MAX);
        }
        let signals = &options.signals;
        let governing = Governing::start(budget, signals, rate_hz, &mut self.probe);
        self.governing = Some(Box::new(governing));
        Ok(sampling)
    }

    /// Takes all probes away.
    pub(super) fn detach(&mut self, signals: &[Signal]) {
        hooks::detach(&mut self.probe, signals);
        if let Some(watch) = self.allocators.take() {
            watch.stop();
        }
    }

    /// Takes the exact tables when one is half full, long before the window is over.
    fn collect_full_tables(&mut self, now: Duration) {
        if self.counts_exactly && self.table_rows / 2 < self.probe.exact.rows_made() {
            self.collect_tables(now);
        }
    }

    /// Takes the exact tables as they are at `at`, with what goes on at that moment counted so far.
    /// What cannot be taken now is taken later; only its window is wrong then.
    pub(super) fn collect_tables(&mut self, at: Duration) {
        self.collect_weighted(at, None);
    }

    /// The same, where the rows of one table stand for so many of their kind: its slice is over.
    fn collect_weighted(&mut self, at: Duration, over: Option<(Signal, f64)>) {
        if !self.counts_exactly {
            return;
        }
        if let Err(error) = self.probe.charge_calls_in_flight() {
            tracing::warn!("system calls in flight are not counted: {error:#}");
        }
        match self.take_rows(at) {
            Ok(samples) => {
                for sample in samples {
                    let weight = self.weight_of_row(sample.measured.signal(), over);
                    self.windows.add(sample, weight, &self.processes);
                }
            }
            Err(error) => {
                tracing::warn!("exact tables stay for later: {error:#}");
            }
        }
    }

    /// What a row of a table stands for: as much as the slice that is over, or the one that runs.
    fn weight_of_row(&self, table: Signal, over: Option<(Signal, f64)>) -> f64 {
        match over {
            Some((signal, weight)) if signal == table => weight,
            Some(_) | None => (self.governing.as_deref())
                .map_or(1.0, |governing| governing.weight_of_table(table)),
        }
    }

    /// The rows of all exact tables, as samples.
    fn take_rows(&mut self, at: Duration) -> Result<Vec<StackSample>, ProbeError> {
        let mut samples = Vec::new();
        for row in self.probe.exact.take_calls()? {
            samples.push(table_rows::call_sample(&row, at));
        }
        for row in self.probe.exact.take_connections()? {
            match table_rows::tcp_sample(&row, at) {
                Ok(sample) => samples.push(sample),
                Err(_malformed) => self.windows.lose(Loss::Undecodable),
            }
        }
        Ok(samples)
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
            Event::Forked { parent, child } => {
                if parent != child {
                    self.windows.forget_labels(child);
                    self.windows.forked(parent, child);
                }
                self.processes.forked(parent, child, changes);
            }
            Event::Executed { pid } => {
                self.windows.forget_labels(pid);
                self.processes.executed(pid, changes);
            }
            Event::Forgotten { pid, at } => {
                self.end_memory(pid, at);
                _ = changes.changed.insert(pid);
            }
            Event::Mapped(mapping) => self.processes.mapped(&mapping, changes),
            Event::Exited { pid, tid } => self.processes.exited(pid, tid, now, changes),
            Event::Unknown { pid } => self.processes.repair(pid, now, changes),
            Event::ProcessRecordsLost { count } => {
                tracing::warn!(count, "process records lost; reading all processes again");
                let alive = processes_by_cpu_time();
                self.processes.read_all(&alive, now, changes);
            }
        }
    }

    /// Tells the probe and the compiler what changed. Mappings go first: a table that comes later
    /// is found by its slot.
    fn apply(&mut self, changes: &Changes) {
        let now = clock::monotonic();
        for pid in &changes.ended {
            self.probe.mappings.remove(*pid);
            self.probe.remove_target(*pid);
            self.end_memory(*pid, now);
        }
        let mut wanted = Vec::new();
        for pid in &changes.changed {
            let mappings: Vec<KernelMapping> = (self.processes.mappings(*pid).iter())
                .map(|mapping| KernelMapping {
                    start: mapping.start,
                    end: mapping.end,
                    file_offset: mapping.file_offset,
                    object: mapping.object,
                    slot: (mapping.object).and_then(|object| self.slot_of(object, &mut wanted)),
                })
                .collect();
            self.probe.mappings.replace(*pid, &mappings);
            self.watch_allocators(*pid);
        }
        for table in wanted {
            (self.tables).ask(table.object, table.slot, table.build_id, table.bytes);
        }
    }

    /// Has the allocators probed that a process maps.
    fn watch_allocators(&mut self, pid: Pid) {
        let Some(watch) = &mut self.allocators else {
            return;
        };
        for mapping in self.processes.mappings(pid) {
            let object = mapping.object.and_then(|id| self.processes.objects.get(id));
            if let Some(object) = object {
                watch.mapped(pid, mapping.start, object);
            }
        }
    }

    /// The slot of an object's table; notes the ones that nobody has asked for yet.
    fn slot_of(&self, id: ObjectId, wanted: &mut Vec<WantedTable>) -> Option<u32> {
        let object = self.processes.objects.get(id)?;
        let bytes = object_bytes(object, self.vdso.as_ref())?;
        let slot = self.tables.slot_of(id)?;
        if slot.is_new {
            wanted.push(WantedTable {
                object: id,
                slot,
                build_id: object.build_id.clone(),
                bytes,
            });
        }
        Some(slot.number)
    }

    /// What is to be done now and then in a long life: reads a few processes again, and gives back
    /// what only files that are gone needed. To be called often; works once a second.
    pub(super) fn refresh(&mut self) {
        let now = clock::monotonic();
        if now < self.refreshed_at + REFRESH_PAUSE {
            return;
        }
        self.refreshed_at = now;
        let mut changes = Changes::default();
        self.processes.refresh(now, &mut changes);
        self.apply(&changes);
        if let Some(watch) = &mut self.allocators {
            watch.forgotten(&changes.forgotten);
        }
        self.tables.forget(changes.forgotten);
    }

    /// What the probe counted since this was last asked.
    pub(super) fn take_counts(&mut self) -> KernelCounts {
        let total = KernelCounts::read(&self.probe);
        let since = total.since(&self.counted);
        self.counted = total;
        since
    }

    /// Says what the probe counted, for whoever asks with `-v`.
    pub(super) fn log_counters(&self) {
        for counter in Counter::ALL {
            tracing::debug!(
                ?counter,
                count = self.probe.count(*counter),
                "counted by the probe"
            );
        }
        for signal in SignalCode::ALL {
            for tally in Tally::ALL {
                let count = self.probe.tally(*signal, *tally);
                if 0 < count {
                    tracing::debug!(?signal, ?tally, count, "counted by the probe");
                }
            }
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
    pub(super) fn cost(&self, started_after: Duration) -> Cost {
        let (table_size_bytes, rules) = self.tables.kernel_use();
        Cost {
            sampler: self.probe.sampler_run_time(),
            off_cpu: self.probe.off_cpu_run_time(),
            syscalls: self.probe.syscall_run_time(),
            tcp: self.probe.tcp_run_time(),
            samples_sent: self.probe.tally(SignalCode::Cpu, Tally::Sent),
            frames_walked: self.probe.count(Counter::FramesWalked),
            table_size_bytes,
            rules,
            started_after,
            governed: (self.governing.as_deref())
                .map(Governing::state)
                .unwrap_or_default(),
        }
    }
}

/// What a sample stands for besides itself.
fn weight_of(governing: Option<&Governing>, sample: &StackSample) -> f64 {
    governing.map_or(1.0, |governing| {
        governing.weight_of(sample.measured.signal(), sample.taken_at)
    })
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
pub(super) fn raise_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, TRACKER_NICENESS) {
        tracing::debug!(%error, "the tracker runs at the usual priority");
    }
}

/// This host's name.
pub fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The running kernel's release.
pub(super) fn kernel_release() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}
