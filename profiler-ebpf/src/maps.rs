//! Every map, in one file.

use aya_ebpf::{
    btf_maps::{Array, ArrayOfMaps, HashMap, LruHashMap, PerCpuArray, PerCpuHashMap, RingBuf},
    macros::btf_map,
};
use profiler_common::{
    alloc::{AllocatorRanges, LiveKey, PendingAllocation},
    counter::COUNTERS,
    departure::Departure,
    limits::{
        ALLOCATORS_MAX, CALL_THREADS_MAX, LIVE_ALLOCATIONS_MAX, NODES_MAX, NOTICE_RING_SIZE_BYTES,
        OFF_CPU_THREADS_MAX, PENDING_ALLOCATIONS_MAX, RECORD_FRAMES_MAX, ROW_OWNERS_MAX, RULES_MAX,
        RULES_REMEMBERED, TABLE_CHUNK_WORDS, TABLE_ROWS_MAX, TABLES_MAX, TARGETS_MAX,
        TCP_SOCKETS_MAX,
    },
    mapping::{MappingEntry, MappingNode},
    probe_config::ProbeConfig,
    sample::{SampleHeader, SignalCode},
    system_call::{CallInFlight, CallKey, CallSums},
    table::{RowOwner, TABLE_STATES},
    tcp::{TcpKey, TcpSocket, TcpSums},
    thinning::Thinning,
    unwind_row::{UnwindRule, register},
};

/// What the daemon decided before loading. Read-only, so the verifier sees constants.
#[unsafe(no_mangle)]
pub(crate) static CONFIG: ProbeConfig = ProbeConfig {
    abi_version: 0,
    filters: 0,
    cgroup_id: 0,
    cgroup_level: 0,
    has_task_pt_regs: 0,
    task_mm: 0,
    task_stack: 0,
    task_tgid: 0,
    user_regs_offset: 0,
    frame_pointers_only: 0,
    task_in_execve_bits: 0,
    task_state: 0,
    task_run_delay: 0,
    off_cpu_period_ns: 0,
    alloc_period_bytes: 0,
    syscall_period_ns: 0,
    syscall_wants: 0,
    task_thread_status: 0,
    task_group_leader: 0,
    task_comm: 0,
    tcp_period_ns: 0,
    tcp_wants: 0,
    sock_family: 0,
    sock_address: 0,
    sock_address_v6: 0,
    sock_remote_port: 0,
    sock_local_port: 0,
    sock_protocol: 0,
    sock_error: 0,
    tcp_round_trip: 0,
    task_files: 0,
    files_table: 0,
    table_files: 0,
    file_private: 0,
    socket_sock: 0,
    comm: [0; 16],
};

/// Reads one field of [`CONFIG`] as it is at load time, not as it was compiled.
macro_rules! config {
    ($field:ident) => {
        // SAFETY: `CONFIG` is a static that nobody writes after load.
        unsafe { core::ptr::read_volatile(&raw const $crate::maps::CONFIG.$field) }
    };
}
pub(crate) use config;

/// Sample records. The daemon sets the size before loading.
#[btf_map]
pub(crate) static SAMPLES: RingBuf<[u8; 0], { 8 << 20 }> = RingBuf::new();

/// Things to repair; each wakes the daemon.
#[btf_map]
pub(crate) static NOTICES: RingBuf<[u8; 0], { NOTICE_RING_SIZE_BYTES as usize }> = RingBuf::new();

/// Executable mappings of processes, by `mapping::root_key` and `mapping::child_key`.
/// Preallocated: before 6.1 a perf-event program may use no other hash map.
#[btf_map]
pub(crate) static MAPPINGS: HashMap<u64, MappingNode, { NODES_MAX as usize }> = HashMap::new();

/// `BPF_F_INNER_MAP`: inner arrays may differ in size. Since: Linux 5.10.
const INNER_MAP: usize = 0x1000;

/// One element of an unwind table.
pub(crate) type TableChunk = [u32; TABLE_CHUNK_WORDS as usize];

/// One unwind table.
pub(crate) type Table = Array<TableChunk, 1, INNER_MAP>;

/// Unwind tables by slot.
#[btf_map]
pub(crate) static TABLES: ArrayOfMaps<Table, { TABLES_MAX as usize }> = ArrayOfMaps::new();

/// Distinct unwind rules of the host.
#[btf_map]
pub(crate) static RULES: Array<UnwindRule, { RULES_MAX as usize }> = Array::new();

/// Processes to sample when the pid filter is on.
#[btf_map]
pub(crate) static TARGETS: HashMap<u32, u32, { TARGETS_MAX as usize }> = HashMap::new();

/// Threads that are off the CPU, by thread. Preallocated: it is filled with the run queue locked,
/// where nothing can be allocated safely. A thread writes its own element only.
#[btf_map]
pub(crate) static DEPARTURES: HashMap<u32, Departure, { OFF_CPU_THREADS_MAX as usize }> =
    HashMap::new();

/// By the lower bits of a thread's number: which thread there is off the CPU and followed, zero for
/// none, [`MANY_THREADS`] once there were two at a time. One look at it tells nearly every thread that
/// nobody follows it, for a fraction of a look at [`DEPARTURES`].
#[btf_map]
pub(crate) static FOLLOWED: Array<u32, { FOLLOWED_SLOTS as usize }> = Array::new();

/// Slots of [`FOLLOWED`], a power of two.
pub(crate) const FOLLOWED_SLOTS: u32 = 1 << 16;
/// No thread has this number.
pub(crate) const MANY_THREADS: u32 = u32::MAX;

/// When each CPU last switched tasks: the end of a stay on the CPU and of a wait for it are one
/// moment, so the two add up to the time on the wall.
#[btf_map]
pub(crate) static SWITCHED_AT_NS: PerCpuArray<u64, 1> = PerCpuArray::new();

/// How much of each signal is followed, by its code. The governor writes it while the probe runs.
#[btf_map]
pub(crate) static THINNING: Array<Thinning, { SignalCode::ALL.len() }> = Array::new();
/// Bytes until the next one that is drawn, on each CPU; zero before the first draw.
#[btf_map]
pub(crate) static BYTES_TO_NEXT: PerCpuArray<u64, 1> = PerCpuArray::new();

/// Allocations that were drawn and have not returned yet, by thread. The least recent ones make room:
/// those of threads that never returned.
#[btf_map]
pub(crate) static PENDING_ALLOCATIONS: LruHashMap<
    u32,
    PendingAllocation,
    { PENDING_ALLOCATIONS_MAX as usize },
> = LruHashMap::new();

/// Sampled allocations that are live.
#[btf_map]
pub(crate) static LIVE_ALLOCATIONS: HashMap<LiveKey, u32, { LIVE_ALLOCATIONS_MAX as usize }> =
    HashMap::new();

/// Where the functions of allocators lie, by slot.
#[btf_map]
pub(crate) static ALLOCATORS: Array<AllocatorRanges, { ALLOCATORS_MAX as usize }> = Array::new();

/// System calls in flight, by thread. A thread writes its own element; whoever counts time takes it
/// out of it in one step.
#[btf_map]
pub(crate) static CALLS: HashMap<u32, CallInFlight, { CALL_THREADS_MAX as usize }> = HashMap::new();

/// A table of system calls.
pub(crate) type CallTable = PerCpuHashMap<CallKey, CallSums, { TABLE_ROWS_MAX as usize }>;

/// The two tables of system calls: one is filled while the daemon empties the other. The daemon
/// sets the size before loading.
#[btf_map]
pub(crate) static CALL_TABLE_0: CallTable = PerCpuHashMap::new();
#[btf_map]
pub(crate) static CALL_TABLE_1: CallTable = PerCpuHashMap::new();

/// Connections, by the address of their socket.
#[btf_map]
pub(crate) static TCP_SOCKETS: HashMap<u64, TcpSocket, { TCP_SOCKETS_MAX as usize }> =
    HashMap::new();

/// A table of TCP connections.
pub(crate) type TcpTable = PerCpuHashMap<TcpKey, TcpSums, { TABLE_ROWS_MAX as usize }>;

/// The two tables of TCP connections, used as those of system calls.
#[btf_map]
pub(crate) static TCP_TABLE_0: TcpTable = PerCpuHashMap::new();
#[btf_map]
pub(crate) static TCP_TABLE_1: TcpTable = PerCpuHashMap::new();

/// What the daemon and the probe tell each other of the tables: by `table::*_FILLED` and
/// `table::*_ROWS_MADE`.
#[btf_map]
pub(crate) static TABLE_STATE: Array<u64, { TABLE_STATES as usize }> = Array::new();

/// Whose the rows are, by process.
#[btf_map]
pub(crate) static ROW_OWNERS: LruHashMap<u32, RowOwner, { ROW_OWNERS_MAX as usize }> =
    LruHashMap::new();

/// Counters, one slot for each CPU.
#[btf_map]
pub(crate) static COUNTS: PerCpuArray<u64, { COUNTERS as usize }> = PerCpuArray::new();

/// Words of stack that a walk reads at one go. Reading more costs little, reading again does.
pub(crate) const WINDOW_WORDS: u32 = 64;

/// Registers and cursor of a walk. Lives in a map: what the verifier does not track cannot multiply
/// its states.
#[repr(C)]
pub(crate) struct Walk {
    /// By DWARF number. Only `rsp`, `rbp` and `rbx` hold beyond the innermost frame.
    pub(crate) registers: [u64; register::COUNT as usize],
    /// Where the frame is executing.
    pub(crate) pc: u64,
    /// The mapping that held the last frame: the next one is mostly there too.
    pub(crate) mapping: MappingEntry,
    /// Words of the stack from `window_start` on: saved registers of this frame and mostly of the
    /// next few.
    pub(crate) window: [u64; WINDOW_WORDS as usize],
    /// Address of the first word of `window`; zero when there is none.
    pub(crate) window_start: u64,
    /// Process.
    pub(crate) pid: u32,
    /// Frames found so far.
    pub(crate) frames: u32,
    /// How far registers other than the kept ones can be believed: `unwind::REGISTERS_*`.
    pub(crate) all_registers: u32,
    /// 1 when `pc` is a return address, so the call is the byte before it.
    pub(crate) is_return_address: u32,
    /// Code of a `Verdict`.
    pub(crate) verdict: u32,
    /// `FLAG_*` bits.
    pub(crate) flags: u32,
    /// Always zero; the verifier takes it for any number, which keeps its searches linear.
    pub(crate) zero: u32,
    /// Registers out of a signal frame, in its order; the program counter is the last.
    pub(crate) signal_registers: [u64; 17],
}

/// The rule of one code address, remembered: return addresses come again and again.
#[repr(C)]
pub(crate) struct KnownRule {
    /// Encoded frame. Objects are never numbered twice, so it means the same code for ever.
    pub(crate) frame: u64,
    /// `RuleCode` of it.
    pub(crate) code: u64,
}

/// A record while it is made.
#[repr(C)]
pub(crate) struct Record {
    /// Filled last.
    pub(crate) header: SampleHeader,
    /// User frames, then kernel frames.
    /// One more than is sent: the verifier wants the bound to be sharp.
    pub(crate) frames: [u64; RECORD_FRAMES_MAX as usize + 1],
}

/// Working memory of one sample.
#[repr(C)]
pub(crate) struct Scratch {
    /// 1 while in use.
    pub(crate) busy: u64,
    /// The walk.
    pub(crate) walk: Walk,
    /// User registers as the kernel saved them.
    pub(crate) user_regs: [u64; 21],
    /// The record.
    pub(crate) record: Record,
    /// By a hash of the frame. One context class has it to itself, so no entry is ever torn.
    pub(crate) known_rules: [KnownRule; RULES_REMEMBERED as usize],
}

/// Context classes: perf events, the scheduler's tracepoints, other tracepoints, uprobes.
pub(crate) const CONTEXT_CLASSES: u32 = 4;

/// Working memory, one slot for each CPU and context class: one class can interrupt another.
#[btf_map]
pub(crate) static SCRATCH: PerCpuArray<Scratch, { CONTEXT_CLASSES as usize }> = PerCpuArray::new();
