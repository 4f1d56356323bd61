//! More samples for a while: further events that run the same sampling program.

use aya::programs::{
    PerfEvent, ProgramError,
    perf_event::{PerfEventLink, PerfEventScope},
};

use super::{
    Probe, ProbeError, SamplingClock,
    attach::{cpus, event, policy},
};
use crate::model::Tid;

/// Whether what an event is attached to goes on to its children.
const INHERITED: bool = true;

/// The further events. Dropping them ends them, those that children have inherited included.
#[derive(Debug)]
pub struct BurstEvents {
    /// One for each CPU or thread.
    events: Vec<PerfEventLink>,
}

impl BurstEvents {
    /// CPUs or threads that are sampled more often.
    pub fn count(&self) -> usize {
        self.events.len()
    }
}

/// Samples every CPU `further_hz` times a second more.
///
/// # Errors
/// What the kernel refused.
pub fn attach_burst(
    probe: &mut Probe,
    clock: SamplingClock,
    further_hz: u32,
) -> Result<BurstEvents, ProbeError> {
    let scopes = cpus()?;
    let scopes = (scopes.into_iter()).map(|cpu| PerfEventScope::AllProcessesOneCpu { cpu });
    let mut events = Vec::new();
    for scope in scopes {
        let link = attach(probe, clock, further_hz, scope, !INHERITED);
        events.push(link.map_err(|source| attach_error(probe, source))?);
    }
    Ok(BurstEvents { events })
}

/// Samples threads, and those that they start from now on, `further_hz` times more in each second
/// that they run. A thread that has ended is left out.
///
/// # Errors
/// What the kernel refused.
pub fn attach_burst_to(
    probe: &mut Probe,
    clock: SamplingClock,
    further_hz: u32,
    threads: &[Tid],
) -> Result<BurstEvents, ProbeError> {
    let mut events = Vec::new();
    for thread in threads {
        let scope = PerfEventScope::OneProcess {
            pid: thread.0,
            cpu: None,
        };
        match attach(probe, clock, further_hz, scope, INHERITED) {
            Ok(link) => events.push(link),
            Err(error) if is_gone(&error) => {}
            Err(source) => return Err(attach_error(probe, source)),
        }
    }
    Ok(BurstEvents { events })
}

/// Attaches one event.
fn attach(
    probe: &mut Probe,
    clock: SamplingClock,
    rate_hz: u32,
    scope: PerfEventScope,
    is_inherited: bool,
) -> Result<PerfEventLink, ProgramError> {
    let sampler = probe.sampler;
    let program: &mut PerfEvent = (probe.object.program_mut(sampler))
        .ok_or(ProgramError::NotLoaded)?
        .try_into()?;
    let link = program.attach(event(clock), scope, policy(clock, rate_hz), is_inherited)?;
    program.take_link(link)
}

/// Whether the thread has ended.
fn is_gone(error: &ProgramError) -> bool {
    matches!(error, ProgramError::SyscallError(failed)
        if failed.io_error.raw_os_error() == Some(libc::ESRCH))
}

/// An error of the sampling program.
fn attach_error(probe: &Probe, source: ProgramError) -> ProbeError {
    ProbeError::Attach {
        program: probe.sampler,
        source,
    }
}
