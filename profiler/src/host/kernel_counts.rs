//! What the probe counted besides the samples it sent.
//!
//! Part of the composition root.

use std::collections::BTreeMap;

use profiler_common::{
    counter::{Counter, Tally},
    sample::SignalCode,
};

use super::probe::Probe;
use crate::model::{Loss, Signal};

/// What the probe counted, in all or since some moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KernelCounts {
    /// Samples of idle CPUs.
    pub(super) idle: u64,
    /// By the number of the signal and the number of the tally.
    tallies: [[u64; Tally::ALL.len()]; SignalCode::ALL.len()],
}

impl KernelCounts {
    /// What the probe counted so far.
    pub(super) fn read(probe: &Probe) -> Self {
        let mut counts = Self {
            idle: probe.count(Counter::SamplesIdle),
            ..Self::default()
        };
        for (row, signal) in counts.tallies.iter_mut().zip(SignalCode::ALL) {
            for (slot, tally) in row.iter_mut().zip(Tally::ALL) {
                *slot = probe.tally(*signal, *tally);
            }
        }
        counts
    }

    /// What was counted since `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        let mut since = *self;
        since.idle -= before.idle;
        let slots = since.tallies.iter_mut().flatten();
        for (slot, before) in slots.zip(before.tallies.iter().flatten()) {
            *slot -= before;
        }
        since
    }

    /// Events of a signal of which this was counted; zero for what no probe watches.
    pub(super) fn of(&self, signal: Signal, tally: Tally) -> u64 {
        let Some(code) = code_of(signal) else {
            return 0;
        };
        let row = self.tallies.get(code as usize);
        row.and_then(|row| row.get(tally as usize))
            .copied()
            .unwrap_or_default()
    }

    /// Samples of a signal lost, by cause. An exact table can only lose what found no room in it.
    pub(super) fn lost(&self, signal: Signal) -> BTreeMap<Loss, u64> {
        let causes: &[(Loss, Tally)] = match signal {
            Signal::SyscallCounts | Signal::TcpCounts => &[(Loss::TableFull, Tally::TableFull)],
            Signal::Cpu
            | Signal::OffCpu
            | Signal::Syscall
            | Signal::Alloc
            | Signal::PageFault
            | Signal::Tcp
            | Signal::Imported => &[
                (Loss::RingFull, Tally::RingFull),
                (Loss::ScratchBusy, Tally::ScratchBusy),
                (Loss::TableFull, Tally::TableFull),
            ],
        };
        (causes.iter())
            .map(|(loss, tally)| (*loss, self.of(signal, *tally)))
            .filter(|(_loss, count)| 0 < *count)
            .collect()
    }
}

/// The probe that watches a signal.
pub(super) fn code_of(signal: Signal) -> Option<SignalCode> {
    match signal {
        Signal::Cpu => Some(SignalCode::Cpu),
        Signal::OffCpu => Some(SignalCode::OffCpu),
        Signal::Syscall | Signal::SyscallCounts => Some(SignalCode::Syscall),
        Signal::Alloc => Some(SignalCode::Alloc),
        Signal::PageFault => Some(SignalCode::PageFault),
        Signal::Tcp | Signal::TcpCounts => Some(SignalCode::Tcp),
        Signal::Imported => None,
    }
}
