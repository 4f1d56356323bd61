//! Counters: everything the probe takes, skips or loses.
//!
//! Written by the probe, one slot for each CPU; read and summed by the daemon.

use crate::{codes, sample::SignalCode};

codes! {
    /// What the probe counts of the host as a whole.
    Counter: u32 {
        /// Samples of an idle CPU.
        SamplesIdle = 0,
        /// Notices that found no room; the next sample of that process sends another.
        NoticesDropped = 1,
        /// Forks whose child could not be given its parent's mappings.
        ForksNotCopied = 2,
        /// Children of a filtered process that found no room in the filter.
        TargetsFull = 3,
        /// User frames of CPU samples, for the cost of a frame.
        FramesWalked = 4,
    }
}

codes! {
    /// What the probe counts of each signal.
    Tally: u32 {
        /// Samples that were sent.
        Sent = 0,
        /// Events that were not drawn; those that were stand for them.
        Thinned = 1,
        /// Events of tasks that the filters leave out.
        Filtered = 2,
        /// Samples lost because the ring was full.
        RingFull = 3,
        /// Samples lost because the scratch memory was in use.
        ScratchBusy = 4,
        /// Events lost because a map that remembers their beginning, or counts them, was full.
        TableFull = 5,
    }
}

/// Slots of the counter map for what is counted of the host.
pub const HOST_COUNTERS: u32 = 16;
/// Slots of the counter map for what is counted of one signal.
pub const TALLIES: u32 = 8;
/// Signals that have slots.
const SIGNALS: u32 = 6;
const _: () = assert!(SIGNALS as usize == SignalCode::ALL.len());
/// Slots of the counter map.
pub const COUNTERS: u32 = HOST_COUNTERS + TALLIES * SIGNALS;
const _: () = assert!(Counter::ALL.len() <= HOST_COUNTERS as usize);
const _: () = assert!(Tally::ALL.len() <= TALLIES as usize);

/// Slot of what is counted of one signal.
pub const fn slot_of(signal: SignalCode, tally: Tally) -> u32 {
    HOST_COUNTERS + TALLIES * signal as u32 + tally as u32
}
