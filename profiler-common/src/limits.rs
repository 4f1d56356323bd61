//! Bounds that the probe and the daemon share, each with the reason for its size.

/// Most user frames of one sample; deeper stacks keep their leaf side.
/// Four times the usual 127: recursive parsers and JavaScript pass that every day, and the cost
/// is only paid by stacks that are that deep.
pub const USER_FRAMES_MAX: u32 = 512;
/// Most kernel frames of one sample: the kernel's own default (`perf_event_max_stack`).
pub const KERNEL_FRAMES_MAX: u32 = 127;
/// Frames of both kinds that a record has room for.
pub const RECORD_FRAMES_MAX: u32 = USER_FRAMES_MAX + KERNEL_FRAMES_MAX;
/// Most user frames where the kernel has no `bpf_loop` and only frame pointers are followed.
pub const FRAME_POINTER_FRAMES_MAX: u32 = 127;

/// Distinct unwind rules of the whole host. 14 large binaries gave 1,428.
pub const RULES_MAX: u32 = 32_768;
/// Unwind tables loaded at once: one for each object file with code that runs.
pub const TABLES_MAX: u32 = 8_192;
/// Words in one element of a table. 1,024 words are one page of memory, so an element is filled by
/// one system call and searched without another look-up.
pub const TABLE_CHUNK_WORDS: u32 = 1_024;
/// Bytes of text that one entry of a table's page index covers: what a 16-bit `pc_low` reaches.
pub const TABLE_PAGE_SIZE_BYTES: u64 = 1 << 16;
/// Halvings that find a row inside one element.
pub const CHUNK_SEARCH_STEPS: u32 = TABLE_CHUNK_WORDS.ilog2();
/// Halvings that find the element of a page: a page has at most 65,536 rows, one a byte.
pub const PAGE_SEARCH_STEPS: u32 = 7;
const _: () = assert!(
    TABLE_PAGE_SIZE_BYTES <= (TABLE_CHUNK_WORDS as u64) << (PAGE_SEARCH_STEPS - 1),
    "the steps must reach every element of a page"
);

/// Code addresses whose rule a CPU remembers: 16 KiB, which stays inside the second-level cache and
/// holds every caller of a few hundred distinct stacks. A power of two.
pub const RULES_REMEMBERED: u32 = 1_024;
const _: () = assert!(RULES_REMEMBERED.is_power_of_two());

/// Mappings in one node: covers nearly every process with a single look-up.
pub const MAPPINGS_PER_NODE: u32 = 32;
/// Halvings that find a mapping in a node.
pub const NODE_SEARCH_STEPS: u32 = MAPPINGS_PER_NODE.ilog2() + 1;
/// Executable mappings of one process that are followed: a root of nodes, two levels.
pub const MAPPINGS_PER_PROCESS_MAX: u32 = MAPPINGS_PER_NODE * MAPPINGS_PER_NODE;
/// Nodes of all processes. They are preallocated, 1.1 KiB each: about 9 MiB, which is enough for a
/// busy host. The daemon asks for more where more processes run.
pub const NODES_MAX: u32 = 8_192;

/// Processes that a filter can name, children that inherit it included: as many as have nodes.
pub const TARGETS_MAX: u32 = NODES_MAX;
/// Threads whose time off the CPU is measured at once: 80 bytes each, so 5 MiB, and only while it is.
/// A guess: hosts with more threads are rare, and what finds no room is counted.
pub const OFF_CPU_THREADS_MAX: u32 = 65_536;
/// Threads whose system calls are remembered at once: 80 bytes each, so 5 MiB, and only while they
/// are. As many as threads off the CPU, for the same reason.
pub const CALL_THREADS_MAX: u32 = OFF_CPU_THREADS_MAX;
/// Bytes of each exact table (there are two of each kind), with what the kernel adds to a row.
pub const TABLE_SIZE_BYTES: u32 = 8 << 20;
/// Rows of an exact table at most. For system calls, a row is a process, a call, an outcome and a bucket of
/// durations. A busy program has about a hundred, a short command forty.
pub const TABLE_ROWS_MAX: u32 = 65_536;
/// Processes whose name is remembered for their rows; those that were not seen for longest go first,
/// and are nameless if they have ended by then.
pub const ROW_OWNERS_MAX: u32 = 16_384;
/// TCP connections that are remembered at once: about 110 bytes each, so 7 MiB, and only while they
/// are watched. A guess: a busy server has some ten thousand.
pub const TCP_SOCKETS_MAX: u32 = 65_536;
/// Longest wait or call that is sent with a probability below one, nanoseconds. The draw multiplies
/// it with a random 32-bit number.
pub const DRAW_PERIOD_NS_MAX: u64 = 1_000_000_000;
const _: () = assert!(DRAW_PERIOD_NS_MAX <= u32::MAX as u64);
/// Largest mean number of bytes between two sampled allocations. The draw multiplies it with a number
/// of 21 bits.
pub const ALLOC_PERIOD_BYTES_MAX: u64 = 1 << 40;
/// Live allocations whose end the probe waits for, about 80 bytes each: 32 GiB of live memory at the
/// usual period.
pub const LIVE_ALLOCATIONS_MAX: u32 = 65_536;
/// Threads that are inside of an allocation that was drawn: far more than CPUs.
pub const PENDING_ALLOCATIONS_MAX: u32 = 4_096;
/// Files with an allocator that are probed at once. A guess: one for each image of a container, and
/// one for each program that is linked statically.
pub const ALLOCATORS_MAX: u32 = 1_024;
const _: () = assert!(ALLOCATORS_MAX <= 1 << 16, "a cookie has 16 bits for it");
/// Functions of one allocator whose calls among each other are told apart. mimalloc exports the most.
pub const ALLOCATOR_RANGES_MAX: u32 = 64;
/// Page faults between two that are sampled on a CPU.
pub const PAGE_FAULT_PERIOD: u64 = 64;
/// Bytes that a page fault brings in most cases.
pub const PAGE_SIZE_BYTES: u64 = 4_096;
/// Bytes of the notice ring: 40 bytes each, so about 1,600 notices between two drains.
pub const NOTICE_RING_SIZE_BYTES: u32 = 64 * 1024;
/// Bytes of a thread's name, the kernel's `TASK_COMM_LEN`.
pub const COMM_SIZE_BYTES: usize = 16;
/// Largest step from one frame to the next that the frame-pointer fallback believes: the default
/// stack limit of a main thread.
pub const FRAME_STEP_SIZE_BYTES_MAX: u64 = 8 << 20;
