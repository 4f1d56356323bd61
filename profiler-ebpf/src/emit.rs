//! Reserve, fill, submit; count what is lost.

use core::hint::black_box;

use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    helpers::{
        bpf_get_current_cgroup_id, bpf_get_current_pid_tgid, bpf_get_smp_processor_id,
        bpf_ktime_get_ns,
        generated::{bpf_get_current_comm, bpf_ringbuf_output},
    },
};
use profiler_common::{
    counter::{Counter, Tally, slot_of},
    limits::COMM_SIZE_BYTES,
    notice::{Notice, NoticeKind},
    sample::{SAMPLE_VALUES, SampleHeader, SignalCode},
};

use crate::maps::{COUNTS, NOTICES, Record, SAMPLES, Scratch};

/// Adds to a counter of the host.
#[inline(always)]
pub(crate) fn count(counter: Counter, amount: u64) {
    add(counter as u32, amount);
}

/// Counts one event of a signal.
#[inline(always)]
pub(crate) fn tally(signal: SignalCode, tally: Tally) {
    add(slot_of(signal, tally), 1);
}

/// Adds to a slot of the counters.
#[inline(always)]
fn add(slot: u32, amount: u64) {
    if let Some(slot) = COUNTS.get_ptr_mut(slot) {
        // SAFETY: the slot belongs to this CPU. A sample that interrupts another program between
        // the load and the store can lose an increment of the *same* counter only.
        unsafe { *slot += amount };
    }
}

/// Completes the header and sends the record; says whether it went. The daemon polls, so nobody is
/// woken.
#[inline(always)]
pub(crate) fn sample(scratch: *mut Scratch, signal: SignalCode, kernel_frames: u32) -> bool {
    fill_header(scratch, signal, kernel_frames);
    // SAFETY: `scratch` is a live map element that this program claimed.
    let user_frames = unsafe { (*scratch).walk.frames };
    let frames = u64::from(user_frames) + u64::from(kernel_frames);
    // Hidden from the compiler, which would otherwise check one register and pass another; the
    // verifier wants the bound on the one that is passed.
    let size_bytes = black_box(size_of::<SampleHeader>() as u64 + frames * 8);
    if size_of::<Record>() as u64 <= size_bytes {
        return false;
    }
    // SAFETY: the record is longer than the size, by the bound above.
    let status = unsafe {
        bpf_ringbuf_output(
            (&raw const SAMPLES).cast_mut().cast(),
            (&raw mut (*scratch).record).cast(),
            size_bytes,
            u64::from(BPF_RB_NO_WAKEUP),
        )
    };
    if status != 0 {
        tally(signal, Tally::RingFull);
        return false;
    }
    tally(signal, Tally::Sent);
    if signal == SignalCode::Cpu {
        count(Counter::FramesWalked, u64::from(user_frames));
    }
    true
}

/// Sends a record of the current task that has values, and no stack or name.
#[inline(always)]
pub(crate) fn bare(signal: SignalCode, values: [u64; SAMPLE_VALUES]) {
    let ids = bpf_get_current_pid_tgid();
    let header = SampleHeader {
        // SAFETY: a helper without arguments.
        taken_at_ns: unsafe { bpf_ktime_get_ns() },
        pid: (ids >> 32) as u32,
        tid: ids as u32,
        signal: signal as u8,
        values,
        ..SampleHeader::default()
    };
    // SAFETY: the size is that of the record.
    let status = unsafe {
        bpf_ringbuf_output(
            (&raw const SAMPLES).cast_mut().cast(),
            (&raw const header).cast_mut().cast(),
            size_of::<SampleHeader>() as u64,
            u64::from(BPF_RB_NO_WAKEUP),
        )
    };
    if status != 0 {
        tally(signal, Tally::RingFull);
    }
}

/// Writes the header in place: a copy by way of the stack would go byte by byte.
#[inline(always)]
fn fill_header(scratch: *mut Scratch, signal: SignalCode, kernel_frames: u32) {
    let ids = bpf_get_current_pid_tgid();
    // SAFETY: `scratch` is a live map element that this program claimed; the helpers take no
    // arguments but the name's place and its length.
    unsafe {
        let walk = &raw const (*scratch).walk;
        let header = &raw mut (*scratch).record.header;
        (*header).taken_at_ns = bpf_ktime_get_ns();
        (*header).cgroup_id = bpf_get_current_cgroup_id();
        (*header).pid = (ids >> 32) as u32;
        (*header).tid = ids as u32;
        (*header).cpu = bpf_get_smp_processor_id();
        (*header).user_frames = (*walk).frames as u16;
        (*header).kernel_frames = kernel_frames as u16;
        (*header).verdict = (*walk).verdict as u8;
        (*header).flags = (*walk).flags as u8;
        (*header).signal = signal as u8;
        bpf_get_current_comm((&raw mut (*header).comm).cast(), COMM_SIZE_BYTES as u32);
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
