//! CPU samples.

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, programs::PerfEventContext};
use profiler_common::{
    counter::Counter,
    sample::{SignalCode, Verdict},
};

use crate::{
    emit, filter,
    maps::Scratch,
    stack,
    task::{self, UserSide},
};

/// Takes one sample of the task that the timer interrupted.
#[inline(always)]
pub(crate) fn sample(ctx: &PerfEventContext, walk: impl Fn(*mut Scratch)) {
    let pid = (bpf_get_current_pid_tgid() >> 32) as u32;
    if pid == 0 {
        emit::count(Counter::SamplesIdle, 1);
        return;
    }
    if !filter::selects_current(pid) {
        emit::count(Counter::SamplesFiltered, 1);
        return;
    }
    let Some(scratch) = stack::claim() else {
        emit::count(Counter::SamplesScratchBusy, 1);
        return;
    };
    let side = task::load_user_registers(ctx, scratch);
    stack::begin(scratch, pid);
    match side {
        UserSide::Running => walk(scratch),
        UserSide::InKernel => {
            walk(scratch);
            if task::is_in_exec() {
                stack::forget_cut_stack(scratch);
            }
        }
        UserSide::KernelThread => stack::end(scratch, Verdict::KernelThread),
        UserSide::Unknown => stack::end(scratch, Verdict::NoRegisters),
    }
    let kernel_frames = match side {
        UserSide::Running => 0,
        UserSide::InKernel | UserSide::KernelThread | UserSide::Unknown => {
            stack::append_kernel_frames(ctx, scratch)
        }
    };
    emit::sample(scratch, SignalCode::Cpu, kernel_frames);
    stack::release(scratch);
}
