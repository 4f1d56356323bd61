//! Sample records.
//!
//! A record is a [`SampleHeader`], then `user_frames` encoded frames (`mapping::decode`), innermost
//! first, then `kernel_frames` addresses, innermost first, 8 bytes each.
//!
//! Written by the probe (`emit.rs`), read by the daemon (`host/ring`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{codes, limits::COMM_SIZE_BYTES};

codes! {
    /// How the walk of the user stack ended.
    Verdict: u8 {
        /// It reached the start of the thread.
        Complete = 0,
        /// There is no user stack: a kernel thread. Counts as complete.
        KernelThread = 1,
        /// Deeper than the probe follows.
        Depth = 2,
        /// The program counter was in no known mapping.
        Unmapped = 3,
        /// The process has no mappings yet.
        UnknownProcess = 4,
        /// The table of the object was not loaded yet.
        TableNotReady = 5,
        /// No unwind information, and the frame pointer led nowhere.
        NoUnwindInfo = 6,
        /// The rule is one the probe cannot follow.
        UnsupportedRule = 7,
        /// The stack memory could not be read.
        UnreadableStack = 8,
        /// The caller's frame would not be further up the stack.
        NotAscending = 9,
        /// The user registers could not be had.
        NoRegisters = 10,
        /// There is no user stack: the program is just being replaced by another (exec). Counts as
        /// complete.
        Exec = 11,
    }
}

codes! {
    /// Which probe made the record.
    SignalCode: u8 {
        /// CPU time.
        Cpu = 0,
        /// Time off the CPU.
        OffCpu = 1,
        /// Time in system calls.
        Syscall = 2,
        /// Memory that a program allocated.
        Alloc = 3,
        /// What a program waited for on TCP connections.
        Tcp = 4,
        /// Memory that the kernel gave a program.
        PageFault = 5,
    }
}

codes! {
    /// How a task left the CPU.
    WaitCode: u8 {
        /// It did not: a sample of a CPU.
        None = 0,
        /// It waits for something.
        Blocked = 1,
        /// It could have gone on: preempted, or it yielded.
        Runnable = 2,
        /// It waits for work, and is a kernel thread: nobody waits for it.
        Idle = 3,
    }
}

/// Values of a sample; what each means is up to its signal.
pub const SAMPLE_VALUES: usize = 4;
/// Bytes that say what a sample is about: a system call, the far end of a connection.
pub const SUBJECT_SIZE_BYTES: usize = 24;
/// Place of the time off the CPU or in the call: nanoseconds, times the weight of the sample.
pub const VALUE_DELAY_NS: usize = 0;
/// Place of the number of waits or calls that the sample stands for.
pub const VALUE_EVENTS: usize = 1;
/// Place of the bytes that a program asked for.
pub const VALUE_SIZE_BYTES: usize = 0;
/// Place of the address of what was allocated or freed.
pub const VALUE_ADDRESS: usize = 1;
/// Place of whether the probe will say when it is freed: 1 when it will.
pub const VALUE_IS_FOLLOWED: usize = 2;
/// Place of whether this is the end of an allocation: 1 when it is. Then there is no stack.
pub const VALUE_WAS_FREED: usize = 3;
/// Place of the number of page faults that a sample stands for.
pub const VALUE_FAULTS: usize = 0;
/// Place of the memory that they brought, bytes.
pub const VALUE_MEMORY_BYTES: usize = 1;
/// Place of the part of the delay in which the task could have run, and waited for a CPU.
pub const VALUE_RUN_QUEUE_NS: usize = 2;

/// At least one frame came from the frame-pointer fallback.
pub const FLAG_FALLBACK: u8 = 1;
/// The kernel stack was longer than the record has room for.
pub const FLAG_KERNEL_TRUNCATED: u8 = 1 << 1;

/// Start of every sample record.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct SampleHeader {
    /// Monotonic clock, nanoseconds.
    pub taken_at_ns: u64,
    /// The cgroup (version 2) of the task.
    pub cgroup_id: u64,
    /// Process (the kernel calls it tgid).
    pub pid: u32,
    /// Thread (the kernel calls it pid).
    pub tid: u32,
    /// CPU it was taken on.
    pub cpu: u32,
    /// User frames after this header.
    pub user_frames: u16,
    /// Kernel frames after the user frames.
    pub kernel_frames: u16,
    /// Code of a [`Verdict`].
    pub verdict: u8,
    /// `FLAG_*` bits.
    pub flags: u8,
    /// Code of a [`SignalCode`].
    pub signal: u8,
    /// Code of a [`WaitCode`].
    pub wait: u8,
    /// Always zero.
    pub reserved: [u8; 4],
    /// By `VALUE_*`; all zero in a CPU sample.
    pub values: [u64; SAMPLE_VALUES],
    /// What the sample is about, by its signal; all zero for signals without.
    pub subject: [u8; SUBJECT_SIZE_BYTES],
    /// Name of the thread, padded with zeros.
    pub comm: [u8; COMM_SIZE_BYTES],
}

const _: () = assert!(size_of::<SampleHeader>() == 112);
const _: () = assert!(core::mem::offset_of!(SampleHeader, verdict) == 32);
const _: () = assert!(core::mem::offset_of!(SampleHeader, values) == 40);
