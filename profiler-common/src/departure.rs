//! Departures: what is remembered of a thread while it is off the CPU.
//!
//! Written and read by the probe only (`off_cpu.rs`); here because its size decides the memory of
//! the map.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// When and how a thread left the CPU.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Departure {
    /// Monotonic clock, nanoseconds; zero while the thread runs.
    pub left_at_ns: u64,
    /// Time that the thread has waited for a CPU in its life so far, nanoseconds.
    pub run_delay_ns: u64,
    /// Code of a [`crate::sample::WaitCode`].
    pub wait: u32,
    /// What the wait stands for, in parts of [`crate::thinning::WEIGHT_ONE`]: what was in force when
    /// it began.
    pub weight: u32,
}

const _: () = assert!(size_of::<Departure>() == 24);
