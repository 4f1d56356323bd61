//! The memory a sample is made in, and the kernel part of its stack.

use aya_ebpf::{EbpfContext, helpers::generated::bpf_get_stack};
use profiler_common::{
    limits::{KERNEL_FRAMES_MAX, USER_FRAMES_MAX},
    sample::{FLAG_KERNEL_TRUNCATED, SAMPLE_VALUES, SUBJECT_SIZE_BYTES, Verdict, WaitCode},
};

use crate::{
    atomic,
    maps::{CONTEXT_CLASSES, SCRATCH, Scratch},
    task::{self, UserSide},
    unwind::REGISTERS_ALL,
};

/// Context class of perf-event programs. Others get their own slot: one class can interrupt another.
pub(crate) const CLASS_PERF: u32 = 0;
/// Context class of the scheduler's tracepoints: preemption is off, so none interrupts another.
pub(crate) const CLASS_SCHEDULER: u32 = 1;
/// Context class of tracepoints in a task's own context: system calls, sockets. Preemption is off;
/// what interrupts them belongs to another class, or to this one in a soft interrupt and is refused.
pub(crate) const CLASS_TRACEPOINT: u32 = 2;
/// Context class of uprobes, which can be preempted and moved to another CPU while they run: to be
/// claimed by [`claim_shared`] only.
pub(crate) const CLASS_UPROBE: u32 = 3;
const _: () = assert!(CLASS_UPROBE < CONTEXT_CLASSES);

/// Claims this CPU's working memory for a context class; `None` when it is in use.
#[inline(always)]
pub(crate) fn claim(class: u32) -> Option<*mut Scratch> {
    let scratch = SCRATCH.get_ptr_mut(class)?;
    // SAFETY: a live map element of this CPU.
    unsafe {
        if (*scratch).busy != 0 {
            return None;
        }
        (*scratch).busy = 1;
    }
    Some(scratch)
}

/// The same for programs that may be preempted, or moved to another CPU, between any two
/// instructions: the slot of the CPU that it began on is claimed in one step, and stays its own
/// wherever it goes on. Since: Linux 5.12 (atomic instructions that give the old value).
#[inline(always)]
pub(crate) fn claim_shared(class: u32) -> Option<*mut Scratch> {
    let scratch = SCRATCH.get_ptr_mut(class)?;
    // SAFETY: a live map element; all who claim this class do it this way.
    if unsafe { atomic::exchange(&raw mut (*scratch).busy, 1) } != 0 {
        return None;
    }
    Some(scratch)
}

/// Gives the working memory back.
#[inline(always)]
pub(crate) fn release(scratch: *mut Scratch) {
    // SAFETY: a live map element that the caller claimed.
    unsafe { (*scratch).busy = 0 };
}

/// Prepares a walk from the registers already loaded.
#[inline(always)]
pub(crate) fn begin(scratch: *mut Scratch, pid: u32) {
    // SAFETY: a live map element that the caller claimed.
    unsafe {
        let walk = &raw mut (*scratch).walk;
        (*walk).pid = pid;
        (*walk).frames = 0;
        (*walk).all_registers = REGISTERS_ALL;
        (*walk).is_return_address = 0;
        (*walk).flags = 0;
        (*walk).mapping.start = 0;
        (*walk).mapping.end = 0;
        (*walk).window_start = 0;
        let header = &raw mut (*scratch).record.header;
        (*header).wait = WaitCode::None as u8;
        (*header).values = [0; SAMPLE_VALUES];
        (*header).subject = [0; SUBJECT_SIZE_BYTES];
    }
    // What a walk that never decides has run into.
    end(scratch, Verdict::Depth);
}

/// Walks both stacks of the current task, whose user side is `side`; returns the number of kernel
/// frames.
#[inline(always)]
pub(crate) fn take(
    ctx: &impl EbpfContext,
    scratch: *mut Scratch,
    side: UserSide,
    walk: impl Fn(*mut Scratch),
) -> u32 {
    match side {
        UserSide::Running => {
            walk(scratch);
            return 0;
        }
        UserSide::InKernel => {
            walk(scratch);
            if task::is_in_exec() {
                forget_cut_stack(scratch);
            }
        }
        UserSide::KernelThread => end(scratch, Verdict::KernelThread),
        UserSide::Unknown => end(scratch, Verdict::NoRegisters),
    }
    append_kernel_frames(ctx, scratch)
}

/// The same without the kernel stack, for programs in a task's own context whose kernel stack is
/// always the same.
#[inline(always)]
pub(crate) fn take_user(scratch: *mut Scratch, side: UserSide, walk: impl Fn(*mut Scratch)) {
    match side {
        UserSide::Running | UserSide::InKernel => walk(scratch),
        UserSide::KernelThread => end(scratch, Verdict::KernelThread),
        UserSide::Unknown => end(scratch, Verdict::NoRegisters),
    }
}

/// Says how the walk ended.
#[inline(always)]
pub(crate) fn end(scratch: *mut Scratch, verdict: Verdict) {
    // SAFETY: a live map element that the caller claimed.
    unsafe { (*scratch).walk.verdict = verdict as u32 };
}

/// Drops a cut user stack of a task in exec: the memory it lay in has been given back, so there is
/// nothing that could be complete.
#[inline(always)]
fn forget_cut_stack(scratch: *mut Scratch) {
    // SAFETY: a live map element that the caller claimed.
    unsafe {
        if (*scratch).walk.verdict != Verdict::Complete as u32 {
            (*scratch).walk.frames = 0;
        }
    }
    if unsafe { (*scratch).walk.frames } == 0 {
        end(scratch, Verdict::Exec);
    }
}

/// Appends the kernel stack behind the user frames; returns its length in frames.
#[inline(always)]
fn append_kernel_frames(ctx: &impl EbpfContext, scratch: *mut Scratch) -> u32 {
    // SAFETY: a live map element that the caller claimed.
    let user_frames = unsafe { (*scratch).walk.frames };
    if USER_FRAMES_MAX < user_frames {
        return 0;
    }
    // SAFETY: `frames` has room for the most user and the most kernel frames.
    let size_bytes = unsafe {
        bpf_get_stack(
            ctx.as_ptr(),
            (&raw mut (*scratch).record.frames)
                .cast::<u64>()
                .add(user_frames as usize)
                .cast(),
            KERNEL_FRAMES_MAX * 8,
            0,
        )
    };
    if size_bytes < 0 {
        return 0;
    }
    let frames = size_bytes as u32 / 8;
    if frames == KERNEL_FRAMES_MAX {
        // SAFETY: as above.
        unsafe { (*scratch).walk.flags |= u32::from(FLAG_KERNEL_TRUNCATED) };
    }
    frames
}
