//! Loading: configuration into read-only data, programs into the kernel.

use std::{fs, os::fd::OwnedFd, time::Duration};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, Map, MapData, PerCpuArray, RingBuf},
    programs::{PerfEvent, Program, ProgramError, RawTracePoint, perf_event::PerfEventLink},
};
use aya_log::EbpfLogger;
use profiler_common::{
    counter::{Counter, Tally, slot_of},
    limits::{
        ALLOCATORS_MAX, CALL_THREADS_MAX, LIVE_ALLOCATIONS_MAX, NODES_MAX, OFF_CPU_THREADS_MAX,
        ROW_OWNERS_MAX, TABLE_ROWS_MAX, TABLE_SIZE_BYTES, TCP_SOCKETS_MAX,
    },
    sample::SignalCode,
    tcp::TcpSums,
    thinning::Thinning,
};

use super::{
    AllocatorProbes, KernelMappings, KernelRules, KernelTables, LiveAllocations, ProbeError,
    abi::Abi,
    config::probe_config,
    exact_tables::ExactTables,
    off_cpu::{Arrival, OffCpuLinks, load_off_cpu},
    options::ProbeOptions,
    raw::Link,
    sys,
    syscall::{Syscalls, load_syscalls},
    tcp::{Tcp, load_tcp},
};
use crate::model::{Pid, Signal};

/// The kernel side, compiled by `build.rs`.
pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/profiler.bpf.o"));

/// Smallest and largest ring of samples, bytes.
const RING_SIZE_BYTES_MIN: u32 = 1 << 20;
const RING_SIZE_BYTES_MAX: u32 = 64 << 20;
/// Bytes of a usual sample: 30 user and 10 kernel frames, rounded up.
const SAMPLE_SIZE_BYTES: u32 = 512;

/// Waits a second and CPU that the ring has room for. A guess: with a period of 1 ms, three CPUs'
/// worth of threads that wait in turns make as many.
const WAITS_HZ: u32 = 3_000;

/// Bytes that the kernel adds to a row of a table, its key included. A guess from its structs.
const ROW_OVERHEAD_BYTES: usize = 72;
/// Signals that allocators are watched for.
const ALLOC: [Signal; 1] = [Signal::Alloc];
/// The same for system calls: for stacks, and for the table.
const SYSCALLS: [Signal; 2] = [Signal::Syscall, Signal::SyscallCounts];
/// The same for TCP connections.
const TCP: [Signal; 2] = [Signal::Tcp, Signal::TcpCounts];
/// Exact tables.
const TABLES: [Signal; 2] = [Signal::SyscallCounts, Signal::TcpCounts];

/// How user stacks are followed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Unwinding {
    /// Tables where the kernel has `bpf_loop`, else frame pointers.
    #[default]
    Auto,
    /// Frame pointers only.
    FramePointers,
    /// Tables, or an error.
    Tables,
}

/// Which tasks are sampled; every part that is set must hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// These processes and the children they make from now on.
    pub pids: Vec<Pid>,
    /// Threads of this name.
    pub comm: Option<String>,
    /// Tasks in this cgroup (version 2) or below it: its id and its depth below the root.
    pub cgroup: Option<(u64, u32)>,
}

/// The probe in the kernel, with its maps.
pub struct Probe {
    pub(super) object: Ebpf,
    /// The sampling program that loaded.
    pub(super) sampler: &'static str,
    /// How the end of a wait off the CPU is seen, when waits are measured.
    pub(super) off_cpu: Option<Arrival>,
    /// What probes allocators, when allocations are watched.
    allocations: Option<(AllocatorProbes, LiveAllocations)>,
    /// The programs of that, to be asked what they cost.
    pub(super) allocator_programs: Vec<OwnedFd>,
    /// How system calls are watched, when they are.
    pub(super) syscalls: Option<Syscalls>,
    /// How TCP connections are watched, when they are.
    pub(super) tcp: Option<Tcp>,
    /// The exact tables; empty while nothing is counted in them.
    pub exact: ExactTables,
    /// Mappings by process.
    pub mappings: KernelMappings,
    /// Unwind tables by slot.
    tables: Option<(KernelRules, KernelTables)>,
    /// Sample records.
    pub samples: RingBuf<MapData>,
    /// Things to repair.
    pub notices: RingBuf<MapData>,
    targets: HashMap<MapData, u32, u32>,
    counts: PerCpuArray<MapData, u64>,
    /// Hands what the probe logged to this program's own log.
    pub flush_log: Box<dyn FnMut()>,
    /// How much of each signal is followed.
    pub(super) thinning: Array<MapData, Abi<Thinning>>,
    /// Keeps sampling on, a link for each CPU.
    pub(super) sampling: Vec<PerfEventLink>,
    /// Keeps the sampling of page faults on, the same way.
    pub(super) page_faults: Vec<PerfEventLink>,
    /// Keeps the measurement of time off the CPU on.
    pub(super) off_cpu_links: Box<OffCpuLinks>,
    /// Keeps system calls watched.
    pub(super) syscall_links: Vec<Link>,
    /// Keeps connections watched.
    pub(super) tcp_links: Vec<Link>,
    /// Keeps the measurement of run time on.
    pub(super) run_time: Option<OwnedFd>,
}

/// Name of the program that walks with tables.
pub(super) const TABLE_SAMPLER: &str = "cpu";
/// Name of the program that walks by frame pointers.
pub(super) const FRAME_POINTER_SAMPLER: &str = "cpu_frame_pointers";
/// Names of the lifecycle programs and of their tracepoints.
pub(super) const LIFECYCLE: [(&str, &str); 2] = [
    ("process_fork", "sched_process_fork"),
    ("process_exec", "sched_process_exec"),
];

/// Loads the probe and picks the sampling program that this kernel takes.
///
/// # Errors
/// What the kernel refused, with the way out.
pub fn load(options: &ProbeOptions) -> Result<Probe, ProbeError> {
    let mut object = load_object(options)?;
    load_lifecycle(&mut object)?;
    let sampler = load_sampler(&mut object, options.unwinding)?;
    let watches = |signals: &[Signal]| options.signals.watches(signals);
    let off_cpu = if watches(&[Signal::OffCpu]) {
        Some(load_off_cpu(&mut object, sampler)?)
    } else {
        None
    };
    let allocations = if watches(&ALLOC) {
        let probes = AllocatorProbes::load(&mut object, sampler)?;
        Some((probes, LiveAllocations::take(&mut object)?))
    } else {
        None
    };
    // Only now: it takes its map, and the programs for sessions are linked with every map.
    let mut logger = EbpfLogger::init(&mut object).map_err(ProbeError::Log)?;
    let syscalls = if watches(&SYSCALLS) {
        Some(load_syscalls(&mut object, sampler)?)
    } else {
        None
    };
    let tcp = if watches(&TCP) {
        Some(load_tcp(&mut object)?)
    } else {
        None
    };
    let mut probe = Probe {
        sampler,
        allocator_programs: allocator_programs(allocations.as_ref()),
        allocations,
        off_cpu,
        syscalls,
        tcp,
        exact: ExactTables::take(&mut object, TABLES.map(|table| watches(&[table])))?,
        mappings: KernelMappings::new(take_map(&mut object, "MAPPINGS")?)?,
        tables: Some((
            KernelRules::new(take_map(&mut object, "RULES")?)?,
            // Left in its place: programs that are loaded later name it by the same descriptor.
            KernelTables::new(map(&object, "TABLES")?)?,
        )),
        samples: typed_map(&mut object, "SAMPLES")?,
        notices: typed_map(&mut object, "NOTICES")?,
        targets: typed_map(&mut object, "TARGETS")?,
        counts: typed_map(&mut object, "COUNTS")?,
        flush_log: Box::new(move || logger.flush()),
        thinning: typed_map(&mut object, "THINNING")?,
        sampling: Vec::new(),
        page_faults: Vec::new(),
        off_cpu_links: Box::default(),
        syscall_links: Vec::new(),
        tcp_links: Vec::new(),
        run_time: sys::enable_run_time_stats().ok(),
        object,
    };
    for pid in &options.filter.pids {
        probe.add_target(*pid)?;
    }
    Ok(probe)
}

/// Creates the maps, as large as what is watched needs them, and reads the programs.
fn load_object(options: &ProbeOptions) -> Result<Ebpf, ProbeError> {
    let config = probe_config(options, u32::from(has_task_pt_regs()));
    let nodes = nodes_wanted();
    let when = |signals: &[Signal], count: u32| entries(options, signals, count);
    let log_level = log_level();
    EbpfLoader::new()
        .override_global(aya_log::LEVEL, &log_level, true)
        .override_global("CONFIG", &Abi(config), true)
        .map_max_entries("SAMPLES", ring_size_bytes(options))
        .map_max_entries("MAPPINGS", nodes)
        .map_max_entries("TARGETS", nodes)
        .map_max_entries("DEPARTURES", when(&[Signal::OffCpu], OFF_CPU_THREADS_MAX))
        .map_max_entries("LIVE_ALLOCATIONS", when(&ALLOC, LIVE_ALLOCATIONS_MAX))
        .map_max_entries("ALLOCATORS", when(&ALLOC, ALLOCATORS_MAX))
        .map_max_entries("CALLS", when(&SYSCALLS, CALL_THREADS_MAX))
        .map_max_entries("CALL_TABLE_0", when(&SYSCALLS[1..], table_rows()))
        .map_max_entries("CALL_TABLE_1", when(&SYSCALLS[1..], table_rows()))
        .map_max_entries("TCP_SOCKETS", when(&TCP, TCP_SOCKETS_MAX))
        .map_max_entries("TCP_TABLE_0", when(&TCP[1..], table_rows()))
        .map_max_entries("TCP_TABLE_1", when(&TCP[1..], table_rows()))
        .map_max_entries("ROW_OWNERS", when(&TABLES, ROW_OWNERS_MAX))
        .load(OBJECT)
        .map_err(ProbeError::Load)
}

/// Loads what follows processes.
fn load_lifecycle(object: &mut Ebpf) -> Result<(), ProbeError> {
    for (name, _tracepoint) in LIFECYCLE {
        let program: &mut RawTracePoint = program_mut(object, name)?;
        program.load().map_err(|source| ProbeError::LoadProgram {
            program: name,
            source,
        })?;
    }
    Ok(())
}

/// How much the probe logs: what it does at exec, to those who debug it; else nothing.
fn log_level() -> u8 {
    if tracing::enabled!(tracing::Level::DEBUG) {
        aya_log::Level::Debug as u8
    } else {
        0
    }
}

/// Loads the sampler asked for, or the best one.
fn load_sampler(object: &mut Ebpf, unwinding: Unwinding) -> Result<&'static str, ProbeError> {
    let mut load = |name: &'static str| {
        let program: &mut PerfEvent = program_mut(object, name)?;
        match program.load() {
            Ok(()) => Ok(name),
            Err(source) => Err(ProbeError::LoadProgram {
                program: name,
                source,
            }),
        }
    };
    match unwinding {
        Unwinding::Tables => load(TABLE_SAMPLER),
        // With tables refused, frame pointers are all there is; `doctor` says so.
        Unwinding::Auto => load(TABLE_SAMPLER).or_else(|refused| {
            tracing::warn!(
                error = &refused as &dyn std::error::Error,
                "following frame pointers only"
            );
            load(FRAME_POINTER_SAMPLER)
        }),
        // Where tables load, that program follows frame pointers too, and knows mappings.
        Unwinding::FramePointers => {
            load(TABLE_SAMPLER).or_else(|_refused| load(FRAME_POINTER_SAMPLER))
        }
    }
}

/// Nodes for twice the processes that run now.
fn nodes_wanted() -> u32 {
    let processes = fs::read_dir("/proc").map_or(0, Iterator::count);
    u32::try_from(processes)
        .unwrap_or(NODES_MAX)
        .saturating_mul(2)
        .max(NODES_MAX)
}

/// Entries of a map that these signals need: the least that the kernel takes while none is watched.
fn entries(options: &ProbeOptions, signals: &[Signal], count: u32) -> u32 {
    if options.signals.watches(signals) {
        count
    } else {
        // A map that forgets the oldest has a few for each CPU at least.
        options.cpus.saturating_mul(2).max(2)
    }
}

/// Rows of an exact table: as many as fit its memory, which grows with the CPUs.
pub fn table_rows() -> u32 {
    let cpus = aya::util::nr_cpus().unwrap_or(1);
    let row_size_bytes = ROW_OVERHEAD_BYTES + cpus * size_of::<TcpSums>();
    let rows = TABLE_SIZE_BYTES as usize / row_size_bytes;
    u32::try_from(rows).map_or(TABLE_ROWS_MAX, |rows| rows.min(TABLE_ROWS_MAX))
}

/// Two seconds of samples, in bytes, as a power of two.
fn ring_size_bytes(options: &ProbeOptions) -> u32 {
    let drawn = [Signal::OffCpu, Signal::Syscall, Signal::Alloc, Signal::Tcp];
    let drawn = (options.signals.signals.iter()).filter(|signal| drawn.contains(signal));
    let waits = WAITS_HZ.saturating_mul(u32::try_from(drawn.count()).unwrap_or(u32::MAX));
    let samples = options
        .rate_hz
        .saturating_add(waits)
        .saturating_mul(options.cpus)
        .saturating_mul(2);
    samples
        .saturating_mul(SAMPLE_SIZE_BYTES)
        .clamp(RING_SIZE_BYTES_MIN, RING_SIZE_BYTES_MAX)
        .next_power_of_two()
}

/// Whether perf-event programs may call the helper that finds a task's registers.
pub(super) fn has_task_pt_regs() -> bool {
    aya::sys::is_helper_supported(
        aya::programs::ProgramType::PerfEvent,
        aya_obj::generated::bpf_func_id::BPF_FUNC_task_pt_regs,
    )
    .unwrap_or(false)
}

/// The programs that watch allocators, to be asked what they cost. Those of a pair are known already.
fn allocator_programs(allocations: Option<&(AllocatorProbes, LiveAllocations)>) -> Vec<OwnedFd> {
    allocations.map_or_else(Vec::new, |(probes, _live)| probes.session_programs())
}

impl Probe {
    /// Samples a process and the children it makes from now on (with a pid filter).
    ///
    /// # Errors
    /// When the filter is full.
    pub fn add_target(&mut self, pid: Pid) -> Result<(), ProbeError> {
        self.targets
            .insert(pid.0, 1, 0)
            .map_err(|source| ProbeError::Map {
                name: "TARGETS",
                source,
            })
    }

    /// Forgets a process of the filter that has ended.
    pub fn remove_target(&mut self, pid: Pid) {
        // Most processes are in no filter; that is not worth a word.
        drop(self.targets.remove(&pid.0));
    }

    /// Hands out rules and tables, once: they are filled on threads of their own.
    ///
    /// # Errors
    /// When they were handed out before.
    pub fn take_tables(&mut self) -> Result<(KernelRules, KernelTables), ProbeError> {
        self.tables
            .take()
            .ok_or(ProbeError::Missing { name: "TABLES" })
    }

    /// Hands out what probes allocators, once; nothing when allocations are not watched.
    pub fn take_allocations(&mut self) -> Option<(AllocatorProbes, LiveAllocations)> {
        self.allocations.take()
    }

    /// Whether user stacks are followed with tables.
    pub fn uses_tables(&self) -> bool {
        self.sampler == TABLE_SAMPLER
    }

    /// A counter of the host, summed over all CPUs.
    pub fn count(&self, counter: Counter) -> u64 {
        self.slot(counter as u32)
    }

    /// A counter of one signal, summed over all CPUs.
    pub fn tally(&self, signal: SignalCode, tally: Tally) -> u64 {
        self.slot(slot_of(signal, tally))
    }

    /// One slot of the counters, summed over all CPUs.
    fn slot(&self, slot: u32) -> u64 {
        let slots = self.counts.get(&slot, 0);
        slots.map_or(0, |slots| slots.iter().sum())
    }

    /// Time in and runs of the sampling program so far; `None` where the kernel cannot tell.
    pub fn sampler_run_time(&self) -> Option<(Duration, u64)> {
        self.run_time(self.sampler)
    }

    /// Time in and runs of a program so far; `None` where the kernel cannot tell.
    pub(super) fn run_time(&self, program: &str) -> Option<(Duration, u64)> {
        let info = self.object.program(program)?.info().ok()?;
        Some((info.run_time(), info.run_count()))
    }
}

/// A program of the object by name and type.
pub(super) fn program_mut<'a, P>(
    object: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut P, ProbeError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let program = object
        .program_mut(name)
        .ok_or(ProbeError::Missing { name })?;
    program
        .try_into()
        .map_err(|source| ProbeError::LoadProgram {
            program: name,
            source,
        })
}

/// A map that stays in the object.
fn map<'a>(object: &'a Ebpf, name: &'static str) -> Result<&'a Map, ProbeError> {
    object.map(name).ok_or(ProbeError::Missing { name })
}

/// A map of the object by name.
fn take_map(object: &mut Ebpf, name: &'static str) -> Result<Map, ProbeError> {
    object.take_map(name).ok_or(ProbeError::Missing { name })
}

/// A map of the object by name and type.
pub(super) fn typed_map<M>(object: &mut Ebpf, name: &'static str) -> Result<M, ProbeError>
where
    M: TryFrom<Map, Error = aya::maps::MapError>,
{
    take_map(object, name)?
        .try_into()
        .map_err(|source| ProbeError::Map { name, source })
}
