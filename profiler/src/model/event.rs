//! What travels from the rings to the daemon.

use std::time::Duration;

use super::{Avma, BuildId, FileOffset, Pid, Signal, Subject, Tid, Truncation, Values};

/// Number that this run of the daemon gave an object file. Not stable across runs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectId(pub u32);

/// One thing that happened on the host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A process or thread was made.
    Forked {
        /// The process that made it.
        parent: Pid,
        /// The process it belongs to; the parent itself for a thread.
        child: Pid,
    },
    /// A process runs another program: everything mapped before is gone.
    Executed {
        /// Which one.
        pid: Pid,
    },
    /// The probe forgot a process's mappings at exec; it needs the new ones.
    Forgotten {
        /// Which one.
        pid: Pid,
        /// When, by the monotonic clock: its memory was gone then.
        at: Duration,
    },
    /// A process mapped code.
    Mapped(NewMapping),
    /// A thread ended.
    Exited {
        /// Its process.
        pid: Pid,
        /// The thread; equal in number to the process when its first thread ended.
        tid: Tid,
    },
    /// The probe met an address or a process that it does not know.
    Unknown {
        /// Which process.
        pid: Pid,
    },
    /// Records about processes were lost: what is known of them may be stale.
    ProcessRecordsLost {
        /// How many.
        count: u64,
    },
}

/// A mapping of code, as the kernel reported it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewMapping {
    /// Whose it is.
    pub pid: Pid,
    /// First address.
    pub start: Avma,
    /// One past the last address.
    pub end: Avma,
    /// Offset in the file of the byte at `start`.
    pub file_offset: FileOffset,
    /// Which file.
    pub file: MappedFile,
    /// Path as the process sees it, or a name in brackets, or `//anon`.
    pub path: String,
}

/// What identifies a mapped file.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum MappedFile {
    /// The kernel read the build id from the mapping.
    BuildId(BuildId),
    /// Device and inode; zero inode for memory without a file.
    Inode(Inode),
}

/// A file on this host.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Inode {
    /// Major number of the device.
    pub device_major: u32,
    /// Minor number of the device.
    pub device_minor: u32,
    /// Inode number; zero means no file.
    pub number: u64,
}

/// Where a user frame is, before anyone has named it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum UserFrame {
    /// In an object file.
    Object {
        /// Which one.
        object: ObjectId,
        /// Where in it.
        offset: FileOffset,
    },
    /// At a bare address: code made at run time, or in no known mapping.
    Bare(Avma),
}

/// How the walk of a user stack ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StackEnd {
    /// At the start of the thread.
    Complete,
    /// There is no user stack: a kernel thread, or a task that is just replacing its program.
    NoUserStack,
    /// Before that.
    Truncated(Truncation),
}

/// How a thread left the CPU.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Wait {
    /// It waited for something.
    Blocked,
    /// It could have gone on: preempted, or it yielded.
    Runnable,
    /// It waited for work, and is a kernel thread: nobody waits for it.
    Idle,
}

/// What a sample measured. Times and numbers are weighted: they stand for those of the same kind
/// that were not sampled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Measured {
    /// That a CPU ran the thread.
    OnCpu,
    /// That the thread was off the CPU.
    OffCpu {
        /// How it left.
        wait: Wait,
        /// How long.
        delay: Duration,
        /// How many times.
        events: u64,
        /// How long of the delay it could have run, and waited for a CPU.
        run_queue: Duration,
    },
    /// An allocation, not weighted yet.
    Allocated(Allocation),
    /// The end of an allocation that was sampled. Such a sample has no stack: the allocation has.
    Freed {
        /// Where it was.
        address: Avma,
    },
    /// What the value types of a signal say.
    Counted {
        /// Which one.
        signal: Signal,
        /// The values, in the order of [`Signal::value_types`].
        values: Values,
    },
}

/// A sampled allocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Allocation {
    /// Bytes asked for.
    pub size_bytes: u64,
    /// Where it is, in its process.
    pub address: Avma,
    /// Whether the probe will tell when it is freed.
    pub is_followed: bool,
}

impl Measured {
    /// What was watched.
    pub fn signal(self) -> Signal {
        match self {
            Self::OnCpu => Signal::Cpu,
            Self::OffCpu { .. } => Signal::OffCpu,
            Self::Allocated(_) | Self::Freed { .. } => Signal::Alloc,
            Self::Counted { signal, .. } => signal,
        }
    }
}

/// One look at one thread, as the probe recorded it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StackSample {
    /// Monotonic clock.
    pub taken_at: Duration,
    /// Its process.
    pub pid: Pid,
    /// The thread.
    pub tid: Tid,
    /// Name of the thread; bytes that are not UTF-8 are replaced.
    pub comm: String,
    /// Its cgroup, version 2.
    pub cgroup_id: u64,
    /// What was measured.
    pub measured: Measured,
    /// What it is about besides code: the innermost levels of the stack, innermost first. A row of
    /// an exact table has nothing else.
    pub about: Vec<Subject>,
    /// User frames, innermost first.
    pub user: Vec<UserFrame>,
    /// Kernel frames, innermost first.
    pub kernel: Vec<Avma>,
    /// How the user walk ended.
    pub end: StackEnd,
    /// At least one frame was found by the frame-pointer fallback.
    pub fallback: bool,
}
