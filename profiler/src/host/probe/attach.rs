//! Attaching: sampling on every CPU, lifecycle hooks, rings of process records.

use std::os::fd::OwnedFd;

use aya::{
    programs::{
        PerfEvent, RawTracePoint,
        perf_event::{
            HardwareEvent, PerfEventConfig, PerfEventLink, PerfEventScope, SamplePolicy,
            SoftwareEvent,
        },
    },
    util::online_cpus,
};
use aya_obj::generated::{
    perf_event_sample_format::{PERF_SAMPLE_TID, PERF_SAMPLE_TIME},
    perf_sw_ids::PERF_COUNT_SW_DUMMY,
    perf_type_id::PERF_TYPE_SOFTWARE,
};

use super::{
    Probe, ProbeError,
    load::{LIFECYCLE, program_mut},
    sys,
};

/// The unit of the CPU clock's period.
const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// What makes the samples.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SamplingClock {
    /// The CPU's cycle counter: sees code that runs with interrupts off.
    Cycles,
    /// The kernel's CPU clock, a timer.
    CpuClock,
}

/// Sampling as it was attached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sampling {
    /// What makes the samples.
    pub clock: SamplingClock,
    /// CPUs that are sampled.
    pub cpus: u32,
}

/// CPUs that are online.
pub(super) fn cpus() -> Result<Vec<u32>, ProbeError> {
    online_cpus().map_err(|(path, source)| ProbeError::Cpus {
        path: path.to_owned(),
        source,
    })
}

/// Starts sampling on every CPU, `rate_hz` times a second each. Where it was on already, at another
/// rate, the new one replaces it.
///
/// # Errors
/// What the kernel refused.
pub fn attach_sampling(probe: &mut Probe, rate_hz: u32) -> Result<Sampling, ProbeError> {
    let cpus = cpus()?;
    detach_sampling(probe);
    let mut clock = SamplingClock::Cycles;
    let mut links = Vec::with_capacity(cpus.len());
    for cpu in &cpus {
        let mut attached = attach_cpu(probe, clock, *cpu, rate_hz);
        if attached.is_err() && clock == SamplingClock::Cycles {
            // Most virtual machines have no cycle counter.
            clock = SamplingClock::CpuClock;
            attached = attach_cpu(probe, clock, *cpu, rate_hz);
        }
        links.push(attached?);
    }
    probe.sampling = links;
    Ok(Sampling {
        clock,
        cpus: u32::try_from(cpus.len()).unwrap_or(u32::MAX),
    })
}

/// Starts sampling on one CPU.
fn attach_cpu(
    probe: &mut Probe,
    clock: SamplingClock,
    cpu: u32,
    rate_hz: u32,
) -> Result<PerfEventLink, ProbeError> {
    let name = probe.sampler;
    let program: &mut PerfEvent = program_mut(&mut probe.object, name)?;
    let scope = PerfEventScope::AllProcessesOneCpu { cpu };
    let link = program.attach(event(clock), scope, policy(clock, rate_hz), false);
    let link = link.and_then(|id| program.take_link(id));
    link.map_err(|source| ProbeError::Attach {
        program: name,
        source,
    })
}

/// The event behind a clock.
pub(super) fn event(clock: SamplingClock) -> PerfEventConfig {
    match clock {
        SamplingClock::Cycles => PerfEventConfig::Hardware(HardwareEvent::CpuCycles),
        SamplingClock::CpuClock => PerfEventConfig::Software(SoftwareEvent::CpuClock),
    }
}

/// How often a clock fires. The CPU clock counts nanoseconds, so its period is exact; the kernel
/// has to steer the cycle counter's.
pub(super) fn policy(clock: SamplingClock, rate_hz: u32) -> SamplePolicy {
    match clock {
        SamplingClock::Cycles => SamplePolicy::Frequency(u64::from(rate_hz)),
        SamplingClock::CpuClock => {
            SamplePolicy::Period(NANOSECONDS_PER_SECOND / u64::from(rate_hz.max(1)))
        }
    }
}

/// Stops sampling on every CPU.
pub fn detach_sampling(probe: &mut Probe) {
    probe.sampling.clear();
}

/// Attaches what keeps mappings and filters true at fork and exec.
///
/// # Errors
/// What the kernel refused.
pub fn attach_lifecycle(probe: &mut Probe) -> Result<(), ProbeError> {
    for (name, tracepoint) in LIFECYCLE {
        let program: &mut RawTracePoint = program_mut(&mut probe.object, name)?;
        program
            .attach(tracepoint)
            .map_err(|source| ProbeError::Attach {
                program: name,
                source,
            })?;
    }
    Ok(())
}

/// Opens the events whose rings carry the kernel's process records, one for each CPU.
///
/// # Errors
/// What the kernel refused.
pub fn open_process_events() -> Result<Vec<OwnedFd>, ProbeError> {
    cpus()?
        .into_iter()
        .map(|cpu| {
            // A kernel before 5.12 knows no build ids in mapping records.
            open_process_event(cpu, true)
                .or_else(|_refused| open_process_event(cpu, false))
                .map_err(|source| ProbeError::ProcessRing { cpu, source })
        })
        .collect()
}

/// Opens the event of one CPU.
fn open_process_event(cpu: u32, with_build_ids: bool) -> std::io::Result<OwnedFd> {
    let mut attributes = sys::event_attributes();
    attributes.type_ = PERF_TYPE_SOFTWARE as u32;
    attributes.config = PERF_COUNT_SW_DUMMY as u64;
    // The time comes last in every record, which is where `ring` looks for it.
    attributes.sample_type = PERF_SAMPLE_TID as u64 | PERF_SAMPLE_TIME as u64;
    attributes.set_sample_id_all(1);
    attributes.set_mmap(1);
    attributes.set_mmap2(1);
    attributes.set_comm(1);
    attributes.set_comm_exec(1);
    attributes.set_task(1);
    attributes.set_build_id(u64::from(with_build_ids));
    attributes.set_use_clockid(1);
    attributes.clockid = libc::CLOCK_MONOTONIC;
    // Wake on every record: a new program must be known before its first sample.
    attributes.set_watermark(1);
    attributes.__bindgen_anon_2.wakeup_watermark = 1;
    sys::open_event_on_cpu(&attributes, cpu)
}
