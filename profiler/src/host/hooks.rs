//! What is attached for the signals that are watched.
//!
//! Part of the composition root: a signal more is an arm more, here.

use super::probe::{self, Probe, Sampling, SignalOptions};
use crate::model::Signal;

/// Signals that system calls are watched for.
const SYSCALLS: [Signal; 2] = [Signal::Syscall, Signal::SyscallCounts];

/// Signals that TCP connections are watched for.
const TCP: [Signal; 2] = [Signal::Tcp, Signal::TcpCounts];

/// Starts what is to be watched; says how time on the CPU is sampled, when it is.
///
/// # Errors
/// What the kernel refused.
pub(super) fn attach(
    probe: &mut Probe,
    options: &SignalOptions,
    rate_hz: u32,
) -> anyhow::Result<Option<Sampling>> {
    let mut sampling = None;
    if options.watches(&[Signal::Cpu]) {
        sampling = Some(probe::attach_sampling(probe, rate_hz)?);
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
    if options.watches(&TCP) {
        probe::attach_tcp(probe)?;
    }
    Ok(sampling)
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
    if options.watches(&TCP) {
        probe::detach_tcp(probe)?;
    }
    Ok(())
}
