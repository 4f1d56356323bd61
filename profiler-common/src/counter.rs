//! Counters: everything the probe takes, skips or loses.
//!
//! Written by the probe, one slot for each CPU; read and summed by the daemon.

use crate::codes;

codes! {
    /// Index into the counter map.
    Counter: u32 {
        /// Samples that passed the filters and were sent.
        SamplesSent = 0,
        /// Samples of an idle CPU.
        SamplesIdle = 1,
        /// Samples of tasks that the filters leave out.
        SamplesFiltered = 2,
        /// Samples lost because the ring was full.
        SamplesRingFull = 3,
        /// Samples lost because the scratch memory was in use.
        SamplesScratchBusy = 4,
        /// Notices that found no room; the next sample of that process sends another.
        NoticesDropped = 5,
        /// Forks whose child could not be given its parent's mappings.
        ForksNotCopied = 6,
        /// Children of a filtered process that found no room in the filter.
        TargetsFull = 7,
        /// User frames of CPU samples, for the cost of a frame.
        FramesWalked = 8,
        /// Waits off the CPU that were sent.
        OffCpuSent = 9,
        /// Short waits that were not drawn; those that were stand for them.
        OffCpuThinned = 10,
        /// Waits of tasks that the filters leave out.
        OffCpuFiltered = 11,
        /// Waits lost because the ring was full.
        OffCpuRingFull = 12,
        /// Waits lost because the scratch memory was in use.
        OffCpuScratchBusy = 13,
        /// Waits lost because more threads run than are remembered.
        OffCpuThreadsFull = 14,
    }
}

/// Slots of the counter map.
pub const COUNTERS: u32 = 16;
const _: () = assert!(Counter::ALL.len() <= COUNTERS as usize);
