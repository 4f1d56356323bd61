//! Memory that the kernel gives programs when they first touch it.

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, programs::PerfEventContext};
use profiler_common::{
    counter::Tally,
    limits::{PAGE_FAULT_PERIOD, PAGE_SIZE_BYTES},
    sample::{SignalCode, VALUE_FAULTS, VALUE_MEMORY_BYTES},
};

use crate::{emit, filter, maps::Scratch, stack, task};

/// Takes one sample of the task whose page fault was drawn; it stands for a period of them.
#[inline(always)]
pub(crate) fn sample(ctx: &PerfEventContext, walk: impl Fn(*mut Scratch)) {
    let pid = (bpf_get_current_pid_tgid() >> 32) as u32;
    if !filter::selects_current(pid) {
        emit::tally(SignalCode::PageFault, Tally::Filtered);
        return;
    }
    let Some(scratch) = stack::claim(stack::CLASS_TRACEPOINT) else {
        emit::tally(SignalCode::PageFault, Tally::ScratchBusy);
        return;
    };
    let side = task::load_user_registers(ctx, scratch);
    stack::begin(scratch, pid);
    // SAFETY: a live map element that this program claimed.
    unsafe {
        let values = &raw mut (*scratch).record.header.values;
        (*values)[VALUE_FAULTS] = PAGE_FAULT_PERIOD;
        (*values)[VALUE_MEMORY_BYTES] = PAGE_FAULT_PERIOD * PAGE_SIZE_BYTES;
    }
    let kernel_frames = stack::take(ctx, scratch, side, walk);
    _ = emit::sample(scratch, SignalCode::PageFault, kernel_frames);
    stack::release(scratch);
}
