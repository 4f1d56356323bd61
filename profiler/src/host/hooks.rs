//! What is attached for the signals that are watched.
//!
//! Part of the composition root: a signal more is an arm more, here.

use super::probe::{self, Probe, Sampling, SignalOptions};
use crate::model::Signal;

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
    for family in families(&options.signals) {
        sampling = sampling.or(start(probe, family, rate_hz)?);
    }
    Ok(sampling)
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

/// Starts one family, which is not on. CPU samples may be: they go on at the new rate. Says how time
/// on the CPU is sampled, where that was started.
///
/// # Errors
/// What the kernel refused.
pub(super) fn start(
    probe: &mut Probe,
    family: Signal,
    rate_hz: u32,
) -> anyhow::Result<Option<Sampling>> {
    match family {
        Signal::Cpu => return Ok(Some(probe::attach_sampling(probe, rate_hz)?)),
        Signal::OffCpu => {
            let hook = probe::attach_off_cpu(probe)?;
            tracing::trace!(hook, "time off the CPU is measured");
        }
        Signal::PageFault => probe::attach_page_faults(probe)?,
        Signal::Syscall => probe::attach_syscalls(probe)?,
        Signal::Tcp => probe::attach_tcp(probe)?,
        // Allocators are probed as they are found.
        Signal::Alloc | Signal::SyscallCounts | Signal::TcpCounts | Signal::Imported => {}
    }
    Ok(None)
}

/// Stops one family, until it is started again.
pub(super) fn stop(probe: &mut Probe, family: Signal) {
    match family {
        Signal::Cpu => probe::detach_sampling(probe),
        Signal::OffCpu => probe::detach_off_cpu(probe),
        Signal::PageFault => probe::detach_page_faults(probe),
        Signal::Syscall => probe::detach_syscalls(probe),
        Signal::Tcp => probe::detach_tcp(probe),
        Signal::Alloc | Signal::SyscallCounts | Signal::TcpCounts | Signal::Imported => {}
    }
}

/// Has a family look at nothing more that begins; what began is followed to its end.
pub(super) fn pause(probe: &mut Probe, family: Signal) {
    if family == Signal::OffCpu {
        probe::pause_off_cpu(probe);
    }
}
