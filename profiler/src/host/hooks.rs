//! What is attached for the signals that are watched.
//!
//! Part of the composition root: a signal more is an arm more, here.

use super::probe::{self, Probe, SignalOptions};
use crate::model::Signal;

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
    for signal in &options.signals {
        cpus = cpus.max(start(probe, *signal, rate_hz)?);
    }
    Ok(cpus)
}

/// Stops what was started.
///
/// # Errors
/// What the kernel refused.
pub(super) fn detach(probe: &mut Probe, signals: &[Signal]) -> anyhow::Result<()> {
    for signal in signals {
        stop(probe, *signal)?;
    }
    Ok(())
}

/// Switches one signal on or off, for the governor. One that is on already goes on at the new rate.
///
/// # Errors
/// What the kernel refused.
pub(super) fn switch(
    probe: &mut Probe,
    signal: Signal,
    is_on: bool,
    rate_hz: u32,
) -> anyhow::Result<()> {
    if is_on {
        start(probe, signal, rate_hz).map(|_cpus| ())
    } else {
        stop(probe, signal)
    }
}

/// Starts one signal; gives the number of CPUs that are sampled.
fn start(probe: &mut Probe, signal: Signal, rate_hz: u32) -> anyhow::Result<u32> {
    match signal {
        Signal::Cpu => return Ok(probe::attach_sampling(probe, rate_hz)?.cpus),
        Signal::OffCpu => {
            let hook = probe::attach_off_cpu(probe)?;
            tracing::debug!(hook, "time off the CPU is measured");
        }
        Signal::Syscall
        | Signal::SyscallCounts
        | Signal::Alloc
        | Signal::PageFault
        | Signal::Tcp
        | Signal::TcpCounts
        | Signal::Imported => {}
    }
    Ok(0)
}

/// Stops one signal.
#[expect(clippy::unnecessary_wraps, reason = "signals that can fail to stop are to come")]
fn stop(probe: &mut Probe, signal: Signal) -> anyhow::Result<()> {
    match signal {
        Signal::Cpu => probe::detach_sampling(probe),
        Signal::OffCpu => probe::detach_off_cpu(probe),
        Signal::Syscall
        | Signal::SyscallCounts
        | Signal::Alloc
        | Signal::PageFault
        | Signal::Tcp
        | Signal::TcpCounts
        | Signal::Imported => {}
    }
    Ok(())
}
