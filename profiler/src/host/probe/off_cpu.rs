//! Attaching what measures time off the CPU.

use std::time::Duration;

use aya::{Ebpf, programs::KProbe};

use super::{
    Probe, ProbeError,
    load::{TABLE_SAMPLER, program_mut},
    raw::{attach_raw, detach_raw, load_raw},
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

/// Loads what measures time off the CPU, and attaches the end of a wait at the first hook that the
/// kernel has. Without a beginning it does nothing yet.
///
/// # Errors
/// What the kernel refused: it has neither the tracepoint nor kprobes.
pub(super) fn load_off_cpu(object: &mut Ebpf, sampler: &str) -> Result<Arrival, ProbeError> {
    let (program, hook) = ARRIVE;
    load_raw(object, LEAVE.0)?;
    // Where the walk with tables is refused, the tracepoint's program is too.
    match load_raw(object, program).and_then(|()| attach_raw(object, ARRIVE)) {
        Ok(()) => Ok(Arrival { program, hook }),
        // The tracepoint is what newer kernels have, so that is the error to tell.
        Err(refused) => attach_kprobe(object, sampler).map_err(|also_refused| {
            tracing::debug!(error = &also_refused as &dyn std::error::Error, "no kprobe");
            refused
        }),
    }
}

/// Attaches the end of a wait as a kprobe.
fn attach_kprobe(object: &mut Ebpf, sampler: &str) -> Result<Arrival, ProbeError> {
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
    let [plain, renamed] = FINISH_SWITCH;
    let attached = match program.attach(plain, 0) {
        Ok(_link) => Ok(plain),
        Err(_absent) => program.attach(renamed, 0).map(|_link| renamed),
    };
    let hook = attached.map_err(|source| ProbeError::Attach {
        program: name,
        source,
    })?;
    Ok(Arrival {
        program: name,
        hook,
    })
}

/// Starts measuring time off the CPU, which the probe was loaded for; says at which hook waits end.
///
/// # Errors
/// What the kernel refused, or that the probe was loaded without it.
pub fn attach_off_cpu(probe: &mut Probe) -> Result<&'static str, ProbeError> {
    let arrival = probe.off_cpu.ok_or(ProbeError::Missing { name: LEAVE.0 })?;
    attach_raw(&mut probe.object, LEAVE)?;
    Ok(arrival.hook)
}

/// Stops measuring time off the CPU.
///
/// # Errors
/// What the kernel refused.
pub fn detach_off_cpu(probe: &mut Probe) -> Result<(), ProbeError> {
    detach_raw(&mut probe.object, LEAVE.0)?;
    match probe.off_cpu.take().map(|arrival| arrival.program) {
        None => Ok(()),
        Some(name) if name == ARRIVE.0 => detach_raw(&mut probe.object, name),
        Some(name) => {
            let program: &mut KProbe = program_mut(&mut probe.object, name)?;
            program.unload().map_err(|source| ProbeError::Attach {
                program: name,
                source,
            })
        }
    }
}

impl Probe {
    /// Time in and runs of the programs that measure time off the CPU so far: of the one at the
    /// start of a wait, and of the one at its end. `None` where the kernel cannot tell.
    pub fn off_cpu_run_time(&self) -> Option<[(Duration, u64); 2]> {
        let run_time = |name| {
            let info = self.object.program(name)?.info().ok()?;
            Some((info.run_time(), info.run_count()))
        };
        Some([run_time(LEAVE.0)?, run_time(self.off_cpu?.program)?])
    }
}
