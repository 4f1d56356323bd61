//! Attaching what samples page faults.

use aya::programs::{
    PerfEvent,
    perf_event::{PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent},
};
use profiler_common::limits::PAGE_FAULT_PERIOD;

use super::{
    Probe, ProbeError,
    attach::cpus,
    load::{TABLE_SAMPLER, program_mut},
};

/// The programs, with unwind tables and without.
const PROGRAMS: [&str; 2] = ["page_fault", "page_fault_frame_pointers"];

/// The program that goes with the sampler that loaded.
fn program_name(probe: &Probe) -> &'static str {
    let [tables, frame_pointers] = PROGRAMS;
    if probe.sampler == TABLE_SAMPLER {
        tables
    } else {
        frame_pointers
    }
}

/// Starts sampling page faults on every CPU: one in every [`PAGE_FAULT_PERIOD`].
///
/// # Errors
/// What the kernel refused.
pub fn attach_page_faults(probe: &mut Probe) -> Result<(), ProbeError> {
    let name = program_name(probe);
    let program: &mut PerfEvent = program_mut(&mut probe.object, name)?;
    program.load().map_err(|source| ProbeError::LoadProgram {
        program: name,
        source,
    })?;
    let mut links = Vec::new();
    for cpu in cpus()? {
        let event = PerfEventConfig::Software(SoftwareEvent::PageFaults);
        let scope = PerfEventScope::AllProcessesOneCpu { cpu };
        let policy = SamplePolicy::Period(PAGE_FAULT_PERIOD);
        let link = program.attach(event, scope, policy, false);
        let link = link.and_then(|id| program.take_link(id));
        links.push(link.map_err(|source| ProbeError::Attach {
            program: name,
            source,
        })?);
    }
    probe.page_faults = links;
    Ok(())
}

/// Stops sampling page faults.
pub fn detach_page_faults(probe: &mut Probe) {
    probe.page_faults.clear();
}
