//! CPU samples.

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, programs::PerfEventContext};
use profiler_common::{
    counter::{Counter, Tally},
    sample::SignalCode,
};

use crate::{emit, filter, maps::Scratch, stack, task};

/// Takes one sample of the task that the timer interrupted.
#[inline(always)]
pub(crate) fn sample(ctx: &PerfEventContext, walk: impl Fn(*mut Scratch)) {
    let pid = (bpf_get_current_pid_tgid() >> 32) as u32;
    if pid == 0 {
        emit::count(Counter::SamplesIdle, 1);
        return;
    }
    if !filter::selects_current(pid) {
        emit::tally(SignalCode::Cpu, Tally::Filtered);
        return;
    }
    let Some(scratch) = stack::claim(stack::CLASS_PERF) else {
        emit::tally(SignalCode::Cpu, Tally::ScratchBusy);
        return;
    };
    let side = task::load_user_registers(ctx, scratch);
    stack::begin(scratch, pid);
    let kernel_frames = stack::take(ctx, scratch, side, walk);
    _ = emit::sample(scratch, SignalCode::Cpu, kernel_frames);
    stack::release(scratch);
}
