//! Programs on raw tracepoints.

use aya::{Ebpf, programs::RawTracePoint};

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

/// Attaches a loaded program to its raw tracepoint.
///
/// # Errors
/// What the kernel refused.
pub(super) fn attach_raw(
    object: &mut Ebpf,
    (name, tracepoint): (&'static str, &str),
) -> Result<(), ProbeError> {
    let program: &mut RawTracePoint = program_mut(object, name)?;
    match program.attach(tracepoint) {
        Ok(_link) => Ok(()),
        Err(source) => Err(ProbeError::Attach {
            program: name,
            source,
        }),
    }
}

/// Detaches a program from its raw tracepoint, and unloads it.
///
/// # Errors
/// What the kernel refused.
pub(super) fn detach_raw(object: &mut Ebpf, name: &'static str) -> Result<(), ProbeError> {
    let program: &mut RawTracePoint = program_mut(object, name)?;
    program.unload().map_err(|source| ProbeError::Attach {
        program: name,
        source,
    })
}
