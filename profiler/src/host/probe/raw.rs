//! Programs on raw tracepoints.

use aya::{
    Ebpf,
    programs::{
        RawTracePoint, kprobe::KProbeLink, raw_trace_point::RawTracePointLink,
        trace_point::TracePointLink,
    },
};

use super::{ProbeError, load::program_mut};

/// Loads a program for a raw tracepoint.
///
/// # Errors
/// What the kernel refused.
pub(super) fn load_raw(object: &mut Ebpf, name: &'static str) -> Result<(), ProbeError> {
    let program: &mut RawTracePoint = program_mut(object, name)?;
    program.load().map_err(|source| ProbeError::LoadProgram {
        program: name,
        source,
    })
}

/// What holds a program at its hook; gone, it is detached.
#[expect(dead_code, reason = "only held")]
pub(super) enum Link {
    /// At a raw tracepoint.
    Raw(RawTracePointLink),
    /// At a function of the kernel.
    KProbe(KProbeLink),
    /// At a tracepoint.
    TracePoint(TracePointLink),
}

/// Attaches a loaded program to its raw tracepoint, for as long as the link is held.
///
/// # Errors
/// What the kernel refused.
pub(super) fn attach_raw(
    object: &mut Ebpf,
    (name, tracepoint): (&'static str, &str),
) -> Result<Link, ProbeError> {
    let program: &mut RawTracePoint = program_mut(object, name)?;
    let link = program.attach(tracepoint);
    let link = link.and_then(|id| program.take_link(id));
    link.map(Link::Raw).map_err(|source| ProbeError::Attach {
        program: name,
        source,
    })
}
