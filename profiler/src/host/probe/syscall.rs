//! Attaching what watches system calls.

use std::time::Duration;

use aya::{
    Ebpf,
    programs::{RawTracePoint, RawTracePointRunOptions, TestRun as _},
};

use super::{
    Probe, ProbeError,
    load::TABLE_SAMPLER,
    raw::{Link, attach_raw, load_raw},
};

/// The programs that see a call begin and a thread end, with their tracepoints. A call that is not
/// seen to begin is not counted, so the beginning is attached last and detached first.
const ENTER: (&str, &str) = ("syscall_enter", "sys_enter");
const THREAD_END: (&str, &str) = ("syscall_thread_end", "sched_process_exit");
/// The programs that see a call end: with unwind tables and without.
const LEAVE: &str = "syscall_leave";
const LEAVE_FRAME_POINTERS: &str = "syscall_leave_frame_pointers";
/// The tracepoint that they are attached to.
const LEAVE_HOOK: &str = "sys_exit";
/// The program that counts calls in flight; it is run, not attached.
const IN_FLIGHT: &str = "syscall_in_flight";

/// The programs that watch system calls, as they loaded.
#[derive(Debug)]
pub(super) struct Syscalls {
    /// The one that sees a call end.
    leave: &'static str,
    /// Whether calls in flight can be counted.
    counts_in_flight: bool,
}

/// Loads what watches system calls; nothing is attached yet.
///
/// # Errors
/// What the kernel refused.
pub(super) fn load_syscalls(object: &mut Ebpf, sampler: &str) -> Result<Syscalls, ProbeError> {
    let leave = if sampler == TABLE_SAMPLER {
        LEAVE
    } else {
        LEAVE_FRAME_POINTERS
    };
    for name in [ENTER.0, leave, THREAD_END.0] {
        load_raw(object, name)?;
    }
    let in_flight = load_raw(object, IN_FLIGHT);
    if let Err(refused) = &in_flight {
        tracing::warn!(
            error = refused as &dyn std::error::Error,
            "system calls in flight at the end of a window are counted when they end"
        );
    }
    Ok(Syscalls {
        leave,
        counts_in_flight: in_flight.is_ok(),
    })
}

/// Starts watching system calls, which the probe was loaded for.
///
/// # Errors
/// What the kernel refused, or that the probe was loaded without it.
pub fn attach_syscalls(probe: &mut Probe) -> Result<(), ProbeError> {
    let leave = leave_of(probe)?;
    let mut links: Vec<Link> = Vec::new();
    for hook in [THREAD_END, (leave, LEAVE_HOOK), ENTER] {
        links.push(attach_raw(&mut probe.object, hook)?);
    }
    // Links go in this order: the beginning is detached first.
    links.reverse();
    probe.syscall_links = links;
    Ok(())
}

/// Stops watching system calls, until they are attached again. What is in flight stays in flight
/// until it is counted.
pub fn detach_syscalls(probe: &mut Probe) {
    probe.syscall_links.clear();
}

/// The program that sees a call end.
fn leave_of(probe: &Probe) -> Result<&'static str, ProbeError> {
    let syscalls = probe.syscalls.as_ref();
    syscalls
        .map(|syscalls| syscalls.leave)
        .ok_or(ProbeError::Missing { name: LEAVE })
}

impl Probe {
    /// Counts what every system call in flight took so far.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn charge_calls_in_flight(&mut self) -> Result<(), ProbeError> {
        if !(self.syscalls.as_ref()).is_some_and(|syscalls| syscalls.counts_in_flight) {
            return Ok(());
        }
        let program = self
            .object
            .program(IN_FLIGHT)
            .ok_or(ProbeError::Missing { name: IN_FLIGHT })?;
        let failed = |source| ProbeError::Run {
            program: IN_FLIGHT,
            source,
        };
        let program: &RawTracePoint = program.try_into().map_err(failed)?;
        program
            .test_run(RawTracePointRunOptions::new())
            .map(drop)
            .map_err(failed)
    }

    /// Time in and runs of the programs at the start and at the end of a system call so far. `None`
    /// where the kernel cannot tell, or they are not watched.
    pub fn syscall_run_time(&self) -> Option<[(Duration, u64); 2]> {
        let leave = self.syscalls.as_ref()?.leave;
        Some([self.run_time(ENTER.0)?, self.run_time(leave)?])
    }
}
