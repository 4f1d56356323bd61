//! Atomic instructions on memory in maps.
//!
//! The compiler takes the target for one thread only and would make plain loads and stores of
//! `core`'s atomics, so the instructions are written out. Since: Linux 5.12; programs that must load
//! on older kernels may not use them.

use core::arch::asm;

/// Puts `new` into the slot and gives what was there.
///
/// # Safety
/// `slot` points to eight aligned bytes of a live map element.
#[inline(always)]
pub(crate) unsafe fn exchange(slot: *mut u64, new: u64) -> u64 {
    let mut value = new;
    // SAFETY: the caller's promise; the instruction touches nothing else.
    unsafe {
        asm!(
            "{value} = xchg_64({slot} + 0, {value})",
            slot = in(reg) slot,
            value = inout(reg) value,
            options(nostack),
        );
    }
    value
}

/// Puts `new` into the slot if `expected` is there, and gives what was there.
///
/// # Safety
/// `slot` points to eight aligned bytes of a live map element.
#[inline(always)]
pub(crate) unsafe fn compare_exchange(slot: *mut u64, expected: u64, new: u64) -> u64 {
    let mut found = expected;
    // SAFETY: the caller's promise; the instruction touches nothing else.
    unsafe {
        asm!(
            "r0 = cmpxchg_64({slot} + 0, r0, {new})",
            slot = in(reg) slot,
            new = in(reg) new,
            inout("r0") found,
            options(nostack),
        );
    }
    found
}

/// Adds to the slot.
///
/// # Safety
/// `slot` points to eight aligned bytes of a live map element.
#[inline(always)]
#[expect(dead_code, reason = "programs that can be preempted count with it")]
pub(crate) unsafe fn add(slot: *mut u64, amount: u64) {
    // SAFETY: the caller's promise; the instruction touches nothing else.
    unsafe {
        asm!(
            "lock *(u64 *)({slot} + 0) += {amount}",
            slot = in(reg) slot,
            amount = in(reg) amount,
            options(nostack),
        );
    }
}
