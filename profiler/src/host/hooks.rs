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
    for family in families(&options.signals) {
        cpus = cpus.max(start(probe, family, rate_hz)?);
    }
    Ok(cpus)
}

/// Stops what was started.
pub(super) fn detach(probe: &mut Probe, signals: &[Signal]) {
    for family in families(signals) {
        stop(probe, family);
    }
}

/// The signals whose probes are needed to watch these, each once: an exact table is filled by the
/// probe of its signal.
pub(super) fn families(signals: &[Signal]) -> impl Iterator<Item = Signal> {
    let is_needed = |family: &Signal| {
        let watches = |signal: &Signal| signal == family || Some(*signal) == family.table();
        signals.iter().any(watches)
    };
    let tables = Signal::WATCHED.map(Signal::table);
    (Signal::WATCHED.into_iter())
        .filter(move |signal| !tables.contains(&Some(*signal)))
        .filter(is_needed)
}

/// Starts one family, which is not on. CPU samples may be: they go on at the new rate. Gives the
/// number of CPUs that are sampled.
///
/// # Errors
/// What the kernel refused.
pub(super) fn start(probe: &mut Probe, family: Signal, rate_hz: u32) -> anyhow::Result<u32> {
    match family {
        Signal::Cpu => return Ok(probe::attach_sampling(probe, rate_hz)?.cpus),
        Signal::OffCpu => {
            let hook = probe::attach_off_cpu(probe)?;
            tracing::debug!(hook, "time off the CPU is measured");
        }
        Signal::Syscall => probe::attach_syscalls(probe)?,
        Signal::Tcp => probe::attach_tcp(probe)?,
        Signal::SyscallCounts
        | Signal::Alloc
        | Signal::PageFault
        | Signal::TcpCounts
        | Signal::Imported => {}
    }
    Ok(0)
}

/// Stops one family, until it is started again.
pub(super) fn stop(probe: &mut Probe, family: Signal) {
    match family {
        Signal::Cpu => probe::detach_sampling(probe),
        Signal::OffCpu => probe::detach_off_cpu(probe),
        Signal::Syscall => probe::detach_syscalls(probe),
        Signal::Tcp => probe::detach_tcp(probe),
        Signal::SyscallCounts
        | Signal::Alloc
        | Signal::PageFault
        | Signal::TcpCounts
        | Signal::Imported => {}
    }
}
