//! System calls: every one counted, stacks drawn in proportion to time.
//!
//! Both ends are seen in the task's own context with preemption off. What a call costs is two
//! look-ups and two reads of the clock. Time is counted once: whoever counts it takes it out of the
//! thread's element in one step, be it the end of the call or the end of a window.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::{
        bpf_get_current_cgroup_id, bpf_get_current_pid_tgid, bpf_ktime_get_ns,
        generated::bpf_for_each_map_elem,
    },
};
use profiler_common::{
    counter::Tally,
    sample::{SignalCode, VALUE_DELAY_NS, VALUE_EVENTS},
    system_call::{
        CALL_COMPAT, CallInFlight, CallKey, CallSums, ERRNO_MAX, OUTCOME_IN_FLIGHT,
        OUTCOME_NO_RETURN, OUTCOME_OK, SYSCALL_COUNTS, SYSCALL_STACKS, bucket_of,
    },
    table::{CALL_FILLED, CALL_ROWS_MADE, RowOwner},
};

use crate::{
    atomic, draw, emit, filter,
    maps::{
        CALL_TABLE_0, CALL_TABLE_1, CALLS, CallTable, ROW_OWNERS, Scratch, TABLE_STATE, config,
    },
    stack, task,
};

/// Notes that the current thread begins a call.
#[inline(always)]
pub(crate) fn enter(number: u64) {
    let ids = bpf_get_current_pid_tgid();
    let (pid, tid) = ((ids >> 32) as u32, ids as u32);
    if !filter::selects_current(pid) {
        emit::tally(SignalCode::Syscall, Tally::Filtered);
        return;
    }
    let mut call = number as u32 & !CALL_COMPAT;
    if task::is_compat_call() {
        call |= CALL_COMPAT;
    }
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    if let Some(known) = CALLS.get_ptr_mut(tid) {
        // SAFETY: a live map element; only its own thread removes it. The last word makes it valid.
        unsafe {
            (*known).entered_at_ns = now;
            (*known).call = call;
            (*known).pid = pid;
            core::ptr::write_volatile(&raw mut (*known).unpaid_from_ns, now);
        }
        return;
    }
    let begun = CallInFlight {
        entered_at_ns: now,
        unpaid_from_ns: now,
        call,
        pid,
    };
    if CALLS.insert(tid, begun, 0).is_err() {
        emit::tally(SignalCode::Syscall, Tally::TableFull);
    }
}

/// Counts the call of the current thread, which is over, and draws.
#[inline(always)]
pub(crate) fn leave(result: i64, walk: impl Fn(*mut Scratch)) {
    let tid = bpf_get_current_pid_tgid() as u32;
    // Not known: it began before anyone watched, or the filters leave it out.
    let Some(known) = CALLS.get_ptr_mut(tid) else {
        return;
    };
    // SAFETY: a live map element, which only its own thread removes.
    let unpaid_from = unsafe { atomic::exchange(&raw mut (*known).unpaid_from_ns, 0) };
    if unpaid_from == 0 {
        return;
    }
    // SAFETY: as above; and a helper without arguments.
    let (begun, now) = unsafe { (*known, bpf_ktime_get_ns()) };
    let thinning = draw::thinning(SignalCode::Syscall);
    if begun.entered_at_ns < thinning.since_ns {
        return;
    }
    let length_ns = now.saturating_sub(begun.entered_at_ns);
    if config!(syscall_wants) & SYSCALL_COUNTS != 0 {
        let key = CallKey {
            pid: begun.pid,
            call: begun.call,
            outcome: outcome_of(begun.call, result),
            bucket: bucket_of(length_ns) as u16,
        };
        count(key, 1, now.saturating_sub(unpaid_from));
    }
    if config!(syscall_wants) & SYSCALL_STACKS != 0 {
        let period_ns = draw::period_ns(config!(syscall_period_ns), &thinning);
        draw_stack(&begun, length_ns, period_ns, walk);
    }
}

/// How a call ended that returned this.
#[inline(always)]
fn outcome_of(call: u32, result: i64) -> u16 {
    // A 32-bit program sees the lower half.
    let result = if call & CALL_COMPAT == 0 {
        result
    } else {
        i64::from(result as i32)
    };
    if result < 0 && -i64::from(ERRNO_MAX) <= result {
        return -result as u16;
    }
    OUTCOME_OK
}

/// Sends the stack of a call with a probability of its length over the period.
#[inline(always)]
fn draw_stack(begun: &CallInFlight, length_ns: u64, period_ns: u64, walk: impl Fn(*mut Scratch)) {
    if !draw::is_drawn(length_ns, period_ns) {
        emit::tally(SignalCode::Syscall, Tally::Thinned);
        return;
    }
    let Some(scratch) = stack::claim(stack::CLASS_TRACEPOINT) else {
        emit::tally(SignalCode::Syscall, Tally::ScratchBusy);
        return;
    };
    let side = task::load_saved_registers(scratch);
    stack::begin(scratch, begun.pid);
    let weighted = draw::weigh(length_ns, period_ns);
    // SAFETY: a live map element that this program claimed.
    unsafe {
        let header = &raw mut (*scratch).record.header;
        (*header).values[VALUE_DELAY_NS] = weighted.time_ns;
        (*header).values[VALUE_EVENTS] = weighted.events;
        let call = begun.call.to_ne_bytes();
        (*header).subject[0] = call[0];
        (*header).subject[1] = call[1];
        (*header).subject[2] = call[2];
        (*header).subject[3] = call[3];
    }
    stack::take_user(scratch, side, walk);
    emit::sample(scratch, SignalCode::Syscall, 0);
    stack::release(scratch);
}

/// Forgets the current thread, which ends; the call that it ends in never returns.
#[inline(always)]
pub(crate) fn thread_end() {
    let tid = bpf_get_current_pid_tgid() as u32;
    let Some(known) = CALLS.get_ptr_mut(tid) else {
        return;
    };
    // SAFETY: a live map element, which only its own thread removes.
    let unpaid_from = unsafe { atomic::exchange(&raw mut (*known).unpaid_from_ns, 0) };
    // SAFETY: as above; and a helper without arguments.
    let (begun, now) = unsafe { (*known, bpf_ktime_get_ns()) };
    let is_known = draw::thinning(SignalCode::Syscall).since_ns <= begun.entered_at_ns;
    if unpaid_from != 0 && is_known && config!(syscall_wants) & SYSCALL_COUNTS != 0 {
        let key = CallKey {
            pid: begun.pid,
            call: begun.call,
            outcome: OUTCOME_NO_RETURN,
            bucket: 0,
        };
        count(key, 1, now.saturating_sub(unpaid_from));
    }
    _ = CALLS.remove(tid);
}

/// Counts what every call in flight took so far.
#[inline(always)]
pub(crate) fn charge_in_flight() {
    // SAFETY: the callback has the shape that the helper calls, and needs no context.
    unsafe {
        bpf_for_each_map_elem(
            (&raw const CALLS).cast_mut().cast(),
            charge_one as *mut c_void,
            core::ptr::null_mut(),
            0,
        );
    }
}

/// Counts what one call took so far, unless it ends just now.
#[inline(never)]
extern "C" fn charge_one(
    _map: *mut c_void,
    _tid: *const u32,
    known: *mut CallInFlight,
    _context: *mut c_void,
) -> i64 {
    // SAFETY: the helper passes live elements.
    let begun = unsafe { core::ptr::read_volatile(known) };
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    let from = begun.unpaid_from_ns;
    let since_ns = draw::thinning(SignalCode::Syscall).since_ns;
    if from == 0 || now <= from || begun.entered_at_ns < since_ns {
        return 0;
    }
    // SAFETY: as above. What was read belongs together if the time is still there: another call
    // would have put another time.
    if unsafe { atomic::compare_exchange(&raw mut (*known).unpaid_from_ns, from, now) } != from {
        return 0;
    }
    let key = CallKey {
        pid: begun.pid,
        call: begun.call,
        outcome: OUTCOME_IN_FLIGHT,
        bucket: 0,
    };
    add(key, 0, now - from, None);
    0
}

/// Adds to a row of the current process.
#[inline(always)]
fn count(key: CallKey, calls: u64, time_ns: u64) {
    add(key, calls, time_ns, Some(key.pid));
}

/// Adds to a row of the table that is filled. `owner` is the process, when it is the current one.
#[inline(always)]
fn add(key: CallKey, calls: u64, time_ns: u64, owner: Option<u32>) {
    let filled = TABLE_STATE.get_ptr(CALL_FILLED);
    // SAFETY: a live element of an array.
    if filled.is_none_or(|filled| unsafe { *filled } == 0) {
        add_to(&CALL_TABLE_0, key, calls, time_ns, owner);
    } else {
        add_to(&CALL_TABLE_1, key, calls, time_ns, owner);
    }
}

/// Adds to a row of one table, which is made if there is none.
#[inline(always)]
fn add_to(table: &'static CallTable, key: CallKey, calls: u64, time_ns: u64, owner: Option<u32>) {
    if let Some(row) = table.get_ptr_mut(key) {
        // SAFETY: the element of this CPU, with preemption off.
        unsafe {
            (*row).calls += calls;
            (*row).time_ns += time_ns;
        }
        return;
    }
    if table
        .insert(key, CallSums { calls, time_ns }, u64::from(BPF_NOEXIST))
        .is_err()
    {
        // Another CPU may have been quicker.
        let Some(row) = table.get_ptr_mut(key) else {
            emit::tally(SignalCode::Syscall, Tally::TableFull);
            return;
        };
        // SAFETY: as above.
        unsafe {
            (*row).calls += calls;
            (*row).time_ns += time_ns;
        }
        return;
    }
    if let Some(made) = TABLE_STATE.get_ptr_mut(CALL_ROWS_MADE) {
        // SAFETY: a live element of an array; nearly right is right enough.
        unsafe { *made += 1 };
    }
    if let Some(pid) = owner {
        remember_owner(pid);
    }
}

/// Notes whose rows the current process's are.
#[inline(always)]
pub(crate) fn remember_owner(pid: u32) {
    let owner = RowOwner {
        // SAFETY: a helper without arguments.
        cgroup_id: unsafe { bpf_get_current_cgroup_id() },
        comm: task::process_name(),
    };
    // A process without a name is still counted.
    _ = ROW_OWNERS.insert(pid, owner, 0);
}
