//! Notices: what the probe needs repaired.
//!
//! Written by the probe (`emit.rs`), read by the daemon (`host/ring`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::codes;

codes! {
    /// What the probe could not find, or had to remove.
    NoticeKind: u32 {
        /// No mappings for this process.
        UnknownProcess = 0,
        /// A program counter outside every mapping of the process.
        UnknownAddress = 1,
        /// A process runs another program now; its mappings were removed.
        Exec = 2,
    }
}

/// One thing to repair.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Notice {
    /// Monotonic clock, nanoseconds.
    pub seen_at_ns: u64,
    /// The program counter.
    pub address: u64,
    /// Process (the kernel calls it tgid).
    pub pid: u32,
    /// Code of a [`NoticeKind`].
    pub kind: u32,
}

const _: () = assert!(size_of::<Notice>() == 24);
