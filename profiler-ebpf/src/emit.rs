//! Reserve, fill, submit; count what is lost.

use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    helpers::{
        bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid,
        bpf_get_smp_processor_id, bpf_ktime_get_ns,
        generated::bpf_ringbuf_output,
    },
};
use profiler_common::{
    counter::Counter,
    limits::RECORD_FRAMES_MAX,
    notice::{Notice, NoticeKind},
    sample::{SampleHeader, SignalCode},
};

use crate::maps::{COUNTS, NOTICES, SAMPLES, Scratch};

/// Adds to a counter.
#[inline(always)]
pub(crate) fn count(counter: Counter, amount: u64) {
    if let Some(slot) = COUNTS.get_ptr_mut(counter as u32) {
        // SAFETY: the slot belongs to this CPU. A sample that interrupts another program between
        // the load and the store can lose an increment of the *same* counter only.
        unsafe { *slot += amount };
    }
}

/// Completes the header and sends the record. The daemon polls, so nobody is woken.
#[inline(always)]
pub(crate) fn sample(scratch: *mut Scratch, signal: SignalCode, kernel_frames: u32) {
    // SAFETY: `scratch` is a live map element that this program claimed.
    let (user_frames, verdict, flags) = unsafe {
        let walk = &raw const (*scratch).walk;
        ((*walk).frames, (*walk).verdict, (*walk).flags)
    };
    let ids = bpf_get_current_pid_tgid();
    let header = SampleHeader {
        // SAFETY: helpers without arguments.
        taken_at_ns: unsafe { bpf_ktime_get_ns() },
        cgroup_id: unsafe { bpf_get_current_cgroup_id() },
        pid: (ids >> 32) as u32,
        tid: ids as u32,
        cpu: unsafe { bpf_get_smp_processor_id() },
        user_frames: user_frames as u16,
        kernel_frames: kernel_frames as u16,
        verdict: verdict as u8,
        flags: flags as u8,
        signal: signal as u8,
        reserved: [0; 5],
        comm: bpf_get_current_comm().unwrap_or_default(),
    };
    let frames = user_frames + kernel_frames;
    if RECORD_FRAMES_MAX < frames {
        return;
    }
    let size_bytes = size_of::<SampleHeader>() as u64 + u64::from(frames) * 8;
    // SAFETY: the record is as long as the size, by the bound above.
    let status = unsafe {
        (*scratch).record.header = header;
        bpf_ringbuf_output(
            (&raw const SAMPLES).cast_mut().cast(),
            (&raw mut (*scratch).record).cast(),
            size_bytes,
            u64::from(BPF_RB_NO_WAKEUP),
        )
    };
    if status == 0 {
        count(Counter::SamplesSent, 1);
        count(Counter::FramesWalked, u64::from(user_frames));
    } else {
        count(Counter::SamplesRingFull, 1);
    }
}

/// Tells the daemon what to repair, and wakes it.
#[inline(always)]
pub(crate) fn notice(kind: NoticeKind, pid: u32, address: u64) {
    let notice = Notice {
        // SAFETY: a helper without arguments.
        seen_at_ns: unsafe { bpf_ktime_get_ns() },
        address,
        pid,
        kind: kind as u32,
    };
    // SAFETY: the size is that of the record.
    let status = unsafe {
        bpf_ringbuf_output(
            (&raw const NOTICES).cast_mut().cast(),
            (&raw const notice).cast_mut().cast(),
            size_of::<Notice>() as u64,
            0,
        )
    };
    if status != 0 {
        count(Counter::NoticesDropped, 1);
    }
}
