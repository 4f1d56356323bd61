//! Allocations: from what the probe tells of them to what is counted.
//!
//! Part of the composition root.

use std::time::Duration;

use super::{
    heap::{HeapReport, LiveTable},
    probe::LiveAllocations,
    process::ProcessTable,
    windows::locate,
};
use crate::model::{Measured, Pid, StackSample};

/// What lives, here and in the probe.
pub(super) struct Allocations {
    table: LiveTable,
    kernel: LiveAllocations,
}

impl Allocations {
    /// Nothing lives yet.
    pub(super) fn new(period_bytes: u64, kernel: LiveAllocations) -> Self {
        Self {
            table: LiveTable::new(period_bytes),
            kernel,
        }
    }

    /// What is to be counted for a sample: for one of another signal, that.
    pub(super) fn take(
        &mut self,
        sample: StackSample,
        processes: &ProcessTable,
    ) -> Vec<StackSample> {
        match sample.measured {
            Measured::Allocated(allocation) => {
                // Located now: when it is freed, its code may be mapped no more.
                let sample = locate(processes, sample);
                self.table.allocated(sample, allocation, rand::random())
            }
            Measured::Freed { address } => {
                let freed = self.table.freed(sample.pid, address, sample.taken_at);
                freed.into_iter().collect()
            }
            Measured::OnCpu | Measured::OffCpu { .. } | Measured::Counted { .. } => vec![sample],
        }
    }

    /// The memory of a process is gone: what is to be counted for it.
    pub(super) fn end(&mut self, pid: Pid, at: Duration) -> Vec<StackSample> {
        let mut counted = Vec::new();
        for (address, sample) in self.table.ended(pid, at) {
            self.kernel.forget(pid, address);
            counted.push(sample);
        }
        counted
    }

    /// Nobody watches what is freed from now on: what is to be counted, as if all that lives was.
    pub(super) fn end_all(&mut self, at: Duration) -> Vec<StackSample> {
        let pids = self.table.pids();
        pids.into_iter().flat_map(|pid| self.end(pid, at)).collect()
    }

    /// No more records of a process that has ended will come.
    pub(super) fn forget(&mut self, pid: Pid) {
        self.table.forget(pid);
    }

    /// Looks at what lives; gives the allocations that found no room since.
    pub(super) fn look(&mut self, now: Duration) -> u64 {
        self.table.look(now);
        self.table.take_refused()
    }

    /// What lives now.
    pub(super) fn report(&self, now: Duration) -> HeapReport {
        self.table.report(now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use profiler_common::alloc::distance_bytes;

    use super::LiveTable;
    use crate::model::{Allocation, Avma, Measured, Pid, StackEnd, StackSample, Tid};

    const PERIOD: u64 = 512 << 10;
    const ALLOCATIONS: u64 = 1_000_000;

    fn sample() -> StackSample {
        StackSample {
            taken_at: Duration::from_secs(1),
            pid: Pid(1),
            tid: Tid(1),
            comm: String::new(),
            cgroup_id: 0,
            measured: Measured::OnCpu,
            about: Vec::new(),
            user: Vec::new(),
            kernel: Vec::new(),
            end: StackEnd::Complete,
            fallback: false,
        }
    }

    /// A million allocations of each size, drawn as the probe does it: bytes and objects are within
    /// four standard errors of the truth.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    #[test]
    fn totals_are_unbiased_for_small_and_large_objects() {
        for size_bytes in [16, 1_000, 100_000, PERIOD, 10 * PERIOD] {
            let mut table = LiveTable::new(PERIOD);
            let (mut bytes, mut objects, mut samples) = (0, 0, 0_u64);
            let mut left = distance_bytes(rand::random(), PERIOD);
            for _ in 0..ALLOCATIONS {
                if size_bytes < left {
                    left -= size_bytes;
                    continue;
                }
                left = distance_bytes(rand::random(), PERIOD);
                let allocation = Allocation {
                    size_bytes,
                    address: Avma(samples),
                    is_followed: false,
                };
                samples += 1;
                for counted in table.allocated(sample(), allocation, rand::random()) {
                    if let Measured::Counted { values, .. } = counted.measured {
                        bytes += values[0];
                        objects += values[1];
                    }
                }
            }
            let error_max = 4.0 / (samples as f64).sqrt();
            let check = |estimate: u64, truth: u64| {
                let error = (estimate as f64 / truth as f64 - 1.0).abs();
                assert!(error < error_max, "{size_bytes}: {estimate} not {truth}");
            };
            check(bytes, ALLOCATIONS * size_bytes);
            check(objects, ALLOCATIONS);
        }
    }
}
