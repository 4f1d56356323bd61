//! Attaching what measures time off the CPU.

use std::time::Duration;

use aya::{Ebpf, programs::KProbe};

use super::{
    Probe, ProbeError,
    load::{TABLE_SAMPLER, program_mut},
    raw::{Link, attach_raw, load_raw},
};

/// The program that sees a task leave the CPU, and its tracepoint.
const LEAVE: (&str, &str) = ("off_cpu_leave", "sched_switch");
/// The program that sees a task back on a CPU, and its tracepoint.
const ARRIVE: (&str, &str) = ("off_cpu_arrive", "sched_exit_tp");
/// The same as a kprobe, with unwind tables and without.
const ARRIVE_KPROBE: &str = "off_cpu_arrive_kprobe";
const ARRIVE_KPROBE_FRAME_POINTERS: &str = "off_cpu_arrive_kprobe_frame_pointers";
/// The function that a task runs first when it is back. Compilers rename it when they drop one of
/// its parameters.
const FINISH_SWITCH: [&str; 2] = ["finish_task_switch", "finish_task_switch.isra.0"];

/// How the end of a wait is seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Arrival {
    /// The program.
    program: &'static str,
    /// The tracepoint or function that it is attached to.
    hook: &'static str,
}

/// Loads what measures time off the CPU, and finds the first hook for the end of a wait that the
/// kernel has. Nothing stays attached.
///
/// # Errors
/// What the kernel refused: it has neither the tracepoint nor kprobes.
pub(super) fn load_off_cpu(object: &mut Ebpf, sampler: &str) -> Result<Arrival, ProbeError> {
    let (program, hook) = ARRIVE;
    load_raw(object, LEAVE.0)?;
    // Where the walk with tables is refused, the tracepoint's program is too.
    match load_raw(object, program).and_then(|()| attach_raw(object, ARRIVE)) {
        Ok(_link) => Ok(Arrival { program, hook }),
        // The tracepoint is what newer kernels have, so that is the error to tell.
        Err(refused) => find_kprobe(object, sampler).map_err(|also_refused| {
            tracing::debug!(error = &also_refused as &dyn std::error::Error, "no kprobe");
            refused
        }),
    }
}

/// Loads the end of a wait as a kprobe, and finds the function for it.
fn find_kprobe(object: &mut Ebpf, sampler: &str) -> Result<Arrival, ProbeError> {
    let name = if sampler == TABLE_SAMPLER {
        ARRIVE_KPROBE
    } else {
        ARRIVE_KPROBE_FRAME_POINTERS
    };
    let program: &mut KProbe = program_mut(object, name)?;
    program.load().map_err(|source| ProbeError::LoadProgram {
        program: name,
        source,
    })?;
    let arrival = |hook| Arrival {
        program: name,
        hook,
    };
    let [plain, renamed] = FINISH_SWITCH.map(arrival);
    attach_kprobe(object, plain)
        .map(|_link| plain)
        .or_else(|_absent| attach_kprobe(object, renamed).map(|_link| renamed))
}

/// Attaches the end of a wait to its function.
fn attach_kprobe(object: &mut Ebpf, arrival: Arrival) -> Result<Link, ProbeError> {
    let name = arrival.program;
    let program: &mut KProbe = program_mut(object, name)?;
    let link = program.attach(arrival.hook, 0);
    let link = link.and_then(|id| program.take_link(id));
    link.map(Link::KProbe).map_err(|source| ProbeError::Attach {
        program: name,
        source,
    })
}

/// Keeps the measurement of time off the CPU on.
#[derive(Default)]
pub(super) struct OffCpuLinks {
    leave: Option<Link>,
    arrive: Option<Link>,
}

/// Starts measuring time off the CPU, which the probe was loaded for, or goes on after a pause; says
/// at which hook waits end.
///
/// # Errors
/// What the kernel refused, or that the probe was loaded without it.
pub fn attach_off_cpu(probe: &mut Probe) -> Result<&'static str, ProbeError> {
    let arrival = probe.off_cpu.ok_or(ProbeError::Missing { name: LEAVE.0 })?;
    // Without a beginning, the end of a wait does nothing yet.
    if probe.off_cpu_links.arrive.is_none() {
        let arrive = if arrival.program == ARRIVE.0 {
            attach_raw(&mut probe.object, ARRIVE)?
        } else {
            attach_kprobe(&mut probe.object, arrival)?
        };
        probe.off_cpu_links.arrive = Some(arrive);
    }
    if probe.off_cpu_links.leave.is_none() {
        probe.off_cpu_links.leave = Some(attach_raw(&mut probe.object, LEAVE)?);
    }
    Ok(arrival.hook)
}

/// Looks at no more waits that begin, until it is attached again; those that have begun are followed
/// to their end.
pub fn pause_off_cpu(probe: &mut Probe) {
    probe.off_cpu_links.leave = None;
}

/// Stops measuring time off the CPU, until it is attached again.
pub fn detach_off_cpu(probe: &mut Probe) {
    *probe.off_cpu_links = OffCpuLinks::default();
}

impl Probe {
    /// Time in and runs of the programs that measure time off the CPU so far: of the one at the
    /// start of a wait, and of the one at its end. `None` where the kernel cannot tell.
    pub fn off_cpu_run_time(&self) -> Option<[(Duration, u64); 2]> {
        Some([
            self.run_time(LEAVE.0)?,
            self.run_time(self.off_cpu?.program)?,
        ])
    }
}
