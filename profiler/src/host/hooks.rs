//! What is attached for the signals that are watched.
//!
//! Part of the composition root: a signal more is an arm more, here.

use super::probe::{self, Probe, SignalOptions};
use crate::model::Signal;

/// Signals that system calls are watched for.
const SYSCALLS: [Signal; 2] = [Signal::Syscall, Signal::SyscallCounts];

/// Starts what is to be watched; gives the number of CPUs that are sampled, zero when none is.
///
/// # Errors
/// What the kernel refused.
pub(super) fn attach(
    probe: &mut Probe,
    options: &SignalOptions,
    rate_hz: u32,
) -> anyhow::Result<u32> {
    let mut cpus = 0;
    if options.watches(&[Signal::Cpu]) {
        cpus = probe::attach_sampling(probe, rate_hz)?.cpus;
    }
    if options.watches(&[Signal::OffCpu]) {
        let hook = probe::attach_off_cpu(probe)?;
        tracing::debug!(hook, "time off the CPU is measured");
    }
    if options.watches(&[Signal::PageFault]) {
        probe::attach_page_faults(probe)?;
    }
    if options.watches(&SYSCALLS) {
        probe::attach_syscalls(probe)?;
    }
    Ok(cpus)
}

/// Stops what was started.
///
/// # Errors
/// What the kernel refused.
pub(super) fn detach(probe: &mut Probe, options: &SignalOptions) -> anyhow::Result<()> {
    if options.watches(&[Signal::Cpu]) {
        probe::detach_sampling(probe)?;
    }
    if options.watches(&[Signal::OffCpu]) {
        probe::detach_off_cpu(probe)?;
    }
    if options.watches(&[Signal::PageFault]) {
        probe::detach_page_faults(probe)?;
    }
    if options.watches(&SYSCALLS) {
        probe::detach_syscalls(probe)?;
    }
    Ok(())
}
