//! Memory that programs allocate and free.
//!
//! An allocator's functions are probed where they begin. A countdown of bytes decides; only a call
//! that is drawn has its return probed too, and only there is the stack walked. Whether memory that
//! is freed was sampled is one look-up, and nearly always it was not.
//!
//! These programs can be preempted. Another thread on the same CPU may then use the same countdown,
//! and a few bytes of one of both are not counted: a chance of less than one in a million calls.

use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_get_current_pid_tgid, bpf_probe_read_user,
        generated::{bpf_get_attach_cookie, bpf_get_func_ip},
    },
    programs::ProbeContext,
};
use profiler_common::{
    alloc::{
        AllocatorCall, LiveKey, PendingAllocation, cookie_call, cookie_offset, cookie_slot,
        distance_bytes,
    },
    counter::Tally,
    sample::{
        SAMPLE_VALUES, SignalCode, VALUE_ADDRESS, VALUE_IS_FOLLOWED, VALUE_SIZE_BYTES,
        VALUE_WAS_FREED,
    },
};

use crate::{
    draw, emit, filter,
    maps::{ALLOCATORS, BYTES_TO_NEXT, LIVE_ALLOCATIONS, PENDING_ALLOCATIONS, Scratch, config},
    stack,
    task::{self, UserSide},
};

/// Codes of calls, as the cookie has them.
mod call {
    use super::AllocatorCall;

    pub(super) const ALLOCATE: u8 = AllocatorCall::Allocate as u8;
    pub(super) const ALLOCATE_ARRAY: u8 = AllocatorCall::AllocateArray as u8;
    pub(super) const ALLOCATE_ALIGNED: u8 = AllocatorCall::AllocateAligned as u8;
    pub(super) const ALLOCATE_INTO: u8 = AllocatorCall::AllocateInto as u8;
    pub(super) const REALLOCATE: u8 = AllocatorCall::Reallocate as u8;
    pub(super) const REALLOCATE_ARRAY: u8 = AllocatorCall::ReallocateArray as u8;
    pub(super) const FREE: u8 = AllocatorCall::Free as u8;
    pub(super) const REALLOCATE_OR_HAND_ON: u8 = AllocatorCall::ReallocateOrHandOn as u8;
}

/// Begin and return of a call, which are one program in a session. Whether the return is wanted.
#[inline(always)]
pub(crate) fn session(ctx: &ProbeContext, walk: impl Fn(*mut Scratch)) -> bool {
    // SAFETY: the helper takes the context as it was given.
    let probed = unsafe { bpf_get_func_ip(ctx.as_ptr()) };
    // SAFETY: the context is a `pt_regs`.
    if unsafe { (*ctx.regs).rip } == probed {
        return begin(ctx);
    }
    finish(ctx, walk);
    false
}

/// A function of an allocator is called. Whether its return is wanted.
#[inline(always)]
pub(crate) fn begin(ctx: &ProbeContext) -> bool {
    // SAFETY: the helper takes the context as it was given.
    let cookie = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    let code = cookie_call(cookie);
    let (first, second, third) = arguments(ctx);
    if code == call::FREE {
        free(first);
        return false;
    }
    if code == call::REALLOCATE || code == call::REALLOCATE_ARRAY {
        free(first);
    }
    if code == call::REALLOCATE_OR_HAND_ON {
        if first == 0 {
            return false;
        }
        free(first);
    }
    let size_bytes = match code {
        call::ALLOCATE => first,
        call::ALLOCATE_ARRAY => first.wrapping_mul(second),
        call::ALLOCATE_ALIGNED | call::REALLOCATE | call::REALLOCATE_OR_HAND_ON => second,
        call::REALLOCATE_ARRAY => second.wrapping_mul(third),
        call::ALLOCATE_INTO => third,
        _ => return false,
    };
    if !is_due(size_bytes) {
        return false;
    }
    let ids = bpf_get_current_pid_tgid();
    if !filter::selects_current((ids >> 32) as u32) || is_inner_call(ctx, cookie) {
        emit::tally(SignalCode::Alloc, Tally::Filtered);
        return false;
    }
    let pending = PendingAllocation {
        size_bytes,
        result_at: if code == call::ALLOCATE_INTO {
            first
        } else {
            0
        },
        cookie,
    };
    if PENDING_ALLOCATIONS.insert(ids as u32, pending, 0).is_err() {
        emit::tally(SignalCode::Alloc, Tally::TableFull);
        return false;
    }
    true
}

/// The first three arguments of a call.
#[inline(always)]
fn arguments(ctx: &ProbeContext) -> (u64, u64, u64) {
    // SAFETY: the context is a `pt_regs`.
    unsafe { ((*ctx.regs).rdi, (*ctx.regs).rsi, (*ctx.regs).rdx) }
}

/// Counts bytes down; whether one of these is drawn.
#[inline(always)]
fn is_due(size_bytes: u64) -> bool {
    let Some(left) = BYTES_TO_NEXT.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: a live map element of this CPU.
    let mut bytes = unsafe { *left };
    if bytes == 0 {
        // The first call on this CPU.
        bytes = draw_distance();
    }
    let is_due = bytes <= size_bytes;
    let rest = if is_due {
        draw_distance()
    } else {
        bytes - size_bytes
    };
    // SAFETY: as above.
    unsafe { *left = rest };
    is_due
}

/// Bytes until the next one that is drawn.
#[inline(always)]
fn draw_distance() -> u64 {
    distance_bytes(draw::random() as u32, config!(alloc_period_bytes))
}

/// Whether the caller is a function of the same allocator, which was counted itself.
#[inline(always)]
fn is_inner_call(ctx: &ProbeContext, cookie: u64) -> bool {
    let Some(allocator) = ALLOCATORS.get_ptr(u32::from(cookie_slot(cookie))) else {
        return false;
    };
    // SAFETY: the context is a `pt_regs`; the helper checks the address.
    let (probed, caller) = unsafe {
        let stack_pointer = (*ctx.regs).rsp as *const u64;
        ((*ctx.regs).rip, bpf_probe_read_user(stack_pointer))
    };
    let Ok(caller) = caller else {
        return false;
    };
    // Code is mapped as it lies in the file.
    let caller_offset = cookie_offset(cookie)
        .wrapping_add(caller)
        .wrapping_sub(probed);
    // SAFETY: a live map element, written before the probe was attached.
    let ranges = unsafe { &(*allocator).ranges };
    ranges
        .iter()
        .any(|[start, end]| *start < caller_offset && caller_offset <= *end)
}

/// A call that was drawn returns: its stack is walked from the caller on.
#[inline(always)]
pub(crate) fn finish(ctx: &ProbeContext, walk: impl Fn(*mut Scratch)) {
    let ids = bpf_get_current_pid_tgid();
    let Some(pending) = PENDING_ALLOCATIONS.get_ptr(ids as u32) else {
        return;
    };
    // SAFETY: a live map element that only its own thread writes.
    let pending = unsafe { *pending };
    // SAFETY: the helper takes the context as it was given.
    if pending.cookie != unsafe { bpf_get_attach_cookie(ctx.as_ptr()) } {
        return;
    }
    _ = PENDING_ALLOCATIONS.remove(ids as u32);
    let address = result(ctx, &pending);
    if address == 0 {
        // Nothing was allocated.
        return;
    }
    let Some(scratch) = stack::claim_shared(stack::CLASS_UPROBE) else {
        emit::tally(SignalCode::Alloc, Tally::ScratchBusy);
        return;
    };
    let pid = (ids >> 32) as u32;
    stack::begin(scratch, pid);
    task::load_probed_registers(ctx, scratch);
    let key = live_key(address, pid);
    let is_followed = LIVE_ALLOCATIONS.insert(key, 1, 0).is_ok();
    if !is_followed {
        emit::tally(SignalCode::Alloc, Tally::TableFull);
    }
    // SAFETY: a live map element that this program claimed.
    unsafe {
        (*scratch).walk.is_return_address = 1;
        let values = &raw mut (*scratch).record.header.values;
        (*values)[VALUE_SIZE_BYTES] = pending.size_bytes;
        (*values)[VALUE_ADDRESS] = address;
        (*values)[VALUE_IS_FOLLOWED] = u64::from(is_followed);
    }
    let kernel_frames = stack::take(ctx, scratch, UserSide::Running, walk);
    if !emit::sample(scratch, SignalCode::Alloc, kernel_frames) && is_followed {
        // The daemon does not know it, so nobody waits for its end.
        _ = LIVE_ALLOCATIONS.remove(key);
    }
    stack::release(scratch);
}

/// The address that a call gave; zero when it failed.
#[inline(always)]
fn result(ctx: &ProbeContext, pending: &PendingAllocation) -> u64 {
    // SAFETY: the context is a `pt_regs`; the helper checks the address.
    unsafe {
        let returned = (*ctx.regs).rax;
        if pending.result_at == 0 {
            return returned;
        }
        if returned as u32 != 0 {
            return 0;
        }
        bpf_probe_read_user(pending.result_at as *const u64).unwrap_or(0)
    }
}

/// What an address is known by.
#[inline(always)]
const fn live_key(address: u64, pid: u32) -> LiveKey {
    LiveKey {
        address,
        pid,
        reserved: 0,
    }
}

/// Memory is given back.
#[inline(always)]
fn free(address: u64) {
    let pid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let key = live_key(address, pid);
    if LIVE_ALLOCATIONS.get_ptr(key).is_none() {
        return;
    }
    _ = LIVE_ALLOCATIONS.remove(key);
    let mut values = [0; SAMPLE_VALUES];
    values[VALUE_ADDRESS] = address;
    values[VALUE_WAS_FREED] = 1;
    emit::bare(SignalCode::Alloc, values);
}
