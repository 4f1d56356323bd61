//! Time off the CPU.
//!
//! Both ends are seen in the task's own context. When it leaves, time and state are noted. When it
//! is back, before it runs on, the wait is measured, a draw decides, and both stacks are walked as
//! for a CPU sample: its memory is there again and it has not changed its stack yet. The wait ends
//! at the switch, not when this end is seen: that is microseconds later, which short waits are not
//! to be charged for.

use aya_ebpf::{
    EbpfContext,
    helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns},
};
use profiler_common::{
    counter::Tally,
    departure::Departure,
    sample::{SignalCode, VALUE_DELAY_NS, VALUE_EVENTS, VALUE_RUN_QUEUE_NS, WaitCode},
};

use crate::{
    draw, emit, filter,
    maps::{DEPARTURES, FOLLOWED, FOLLOWED_SLOTS, MANY_THREADS, SWITCHED_AT_NS, Scratch, config},
    stack,
    task::{self, state},
};

/// Longest time between a switch and the end of the wait that it ends: more than a hypervisor that
/// takes the CPU away in between needs now and then. Only the length of a wait depends on it.
const SWITCH_NS_MAX: u64 = 100_000;

/// Notes that the current task leaves the CPU.
#[inline(always)]
pub(crate) fn leave() {
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    if let Some(switched_at) = SWITCHED_AT_NS.get_ptr_mut(0) {
        // SAFETY: a live map element of this CPU, with preemption off.
        unsafe { *switched_at = now };
    }
    let ids = bpf_get_current_pid_tgid();
    let tid = ids as u32;
    if tid == 0 {
        // The idle task: a CPU has nothing to do.
        return;
    }
    let state = task::state();
    if state & state::DEAD != 0 {
        _ = DEPARTURES.remove(tid);
        return;
    }
    if !filter::selects_current((ids >> 32) as u32) {
        emit::tally(SignalCode::OffCpu, Tally::Filtered);
        return;
    }
    let departure = Departure {
        left_at_ns: now,
        run_delay_ns: task::run_delay_ns(),
        wait: u32::from(wait_of(state) as u8),
        weight: draw::thinning(SignalCode::OffCpu).weight_at(now),
    };
    if let Some(known) = DEPARTURES.get_ptr_mut(tid) {
        // SAFETY: a live map element; only its own thread writes it, and elements are freed by
        // their own thread only.
        unsafe { *known = departure };
    } else if DEPARTURES.insert(tid, departure, 0).is_err() {
        emit::tally(SignalCode::OffCpu, Tally::TableFull);
        return;
    }
    follow(tid);
}

/// Notes that a thread is followed.
#[inline(always)]
fn follow(tid: u32) {
    let Some(slot) = FOLLOWED.get_ptr_mut(tid & (FOLLOWED_SLOTS - 1)) else {
        return;
    };
    // SAFETY: a live element of an array. Two threads that share it and leave in the same instant may
    // both see it free; then one wait is missed.
    unsafe {
        if *slot == 0 {
            *slot = tid;
        } else if *slot != tid {
            *slot = MANY_THREADS;
        }
    }
}

/// Whether a thread may be followed; from now on it is not, until it leaves again.
#[inline(always)]
fn was_followed(tid: u32) -> bool {
    let Some(slot) = FOLLOWED.get_ptr_mut(tid & (FOLLOWED_SLOTS - 1)) else {
        return false;
    };
    // SAFETY: as above.
    unsafe {
        if *slot == tid {
            *slot = 0;
            return true;
        }
        *slot == MANY_THREADS
    }
}

/// What a state means.
#[inline(always)]
fn wait_of(state: u32) -> WaitCode {
    if state == 0 {
        return WaitCode::Runnable;
    }
    // A kernel thread that waits for its work does so interruptibly, or says that it is no load.
    if state & (state::INTERRUPTIBLE | state::NOLOAD) != 0 && task::is_kernel_thread() {
        return WaitCode::Idle;
    }
    WaitCode::Blocked
}

/// Measures the wait of the current task, which has just got a CPU again.
#[inline(always)]
pub(crate) fn arrive(ctx: &impl EbpfContext, walk: impl Fn(*mut Scratch)) {
    let ids = bpf_get_current_pid_tgid();
    if !was_followed(ids as u32) {
        return;
    }
    let (Some(departure), Some(switched_at)) = (
        DEPARTURES.get_ptr_mut(ids as u32),
        SWITCHED_AT_NS.get_ptr_mut(0),
    ) else {
        return;
    };
    // SAFETY: live map elements: one that only its own thread writes, and one of this CPU.
    let (left, switched_at_ns) = unsafe { (*departure, *switched_at) };
    if left.left_at_ns == 0 {
        return;
    }
    let now = arrived_at_ns(switched_at_ns);
    if now <= left.left_at_ns {
        return;
    }
    // SAFETY: as above.
    unsafe { (*departure).left_at_ns = 0 };
    let thinning = draw::thinning(SignalCode::OffCpu);
    if left.left_at_ns < thinning.since_ns {
        // It left before this was switched off and on again: it may have been back meanwhile.
        return;
    }
    let delay_ns = now - left.left_at_ns;
    let period_ns = draw::period_ns(config!(off_cpu_period_ns), &thinning);
    if !draw::is_drawn(delay_ns, period_ns) {
        emit::tally(SignalCode::OffCpu, Tally::Thinned);
        return;
    }
    let Some(scratch) = stack::claim(stack::CLASS_SCHEDULER) else {
        emit::tally(SignalCode::OffCpu, Tally::ScratchBusy);
        return;
    };
    let side = task::load_saved_registers(scratch);
    stack::begin(scratch, (ids >> 32) as u32);
    weigh(scratch, delay_ns, period_ns, &left);
    let kernel_frames = stack::take(ctx, scratch, side, walk);
    _ = emit::sample(scratch, SignalCode::OffCpu, kernel_frames);
    stack::release(scratch);
}

/// When the current task got its CPU. Between two slices nobody notes the switches, so the last one
/// that was noted may be long ago.
#[inline(always)]
fn arrived_at_ns(switched_at_ns: u64) -> u64 {
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    if now.wrapping_sub(switched_at_ns) < SWITCH_NS_MAX {
        switched_at_ns
    } else {
        now
    }
}

/// Writes the values of a wait, times one over the probability that it was sent with.
#[inline(always)]
fn weigh(scratch: *mut Scratch, delay_ns: u64, period_ns: u64, left: &Departure) {
    let queued_ns = task::run_delay_ns().saturating_sub(left.run_delay_ns);
    // The two clocks may differ by a little.
    let queued_ns = if queued_ns < delay_ns {
        queued_ns
    } else {
        delay_ns
    };
    let weighted = draw::weigh(delay_ns, period_ns);
    let queued_ns = if period_ns <= delay_ns || delay_ns == 0 {
        queued_ns
    } else {
        queued_ns * period_ns / delay_ns
    };
    // SAFETY: a live map element that the caller claimed.
    unsafe {
        let header = &raw mut (*scratch).record.header;
        (*header).wait = left.wait as u8;
        (*header).values[VALUE_DELAY_NS] = draw::times(weighted.time_ns, left.weight);
        (*header).values[VALUE_EVENTS] = draw::times(weighted.events, left.weight);
        (*header).values[VALUE_RUN_QUEUE_NS] = draw::times(queued_ns, left.weight);
    }
}
