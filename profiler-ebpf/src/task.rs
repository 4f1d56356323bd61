//! All reads of the kernel's `task_struct` and of saved user registers.

use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_get_current_task, bpf_probe_read_kernel,
        generated::{
            bpf_get_current_task_btf, bpf_probe_read_kernel as probe_read_kernel_raw,
            bpf_task_pt_regs,
        },
    },
    programs::{PerfEventContext, ProbeContext},
};
use profiler_common::{limits::COMM_SIZE_BYTES, probe_config::OFFSET_MISSING};

use crate::maps::{Scratch, config};

/// Places in the kernel's `struct pt_regs`, in words.
/// Source: arch/x86/include/asm/ptrace.h; user-visible, so it does not change.
mod pt_regs {
    pub(super) const R15: usize = 0;
    pub(super) const R14: usize = 1;
    pub(super) const R13: usize = 2;
    pub(super) const R12: usize = 3;
    pub(super) const RBP: usize = 4;
    pub(super) const RBX: usize = 5;
    pub(super) const R11: usize = 6;
    pub(super) const R10: usize = 7;
    pub(super) const R9: usize = 8;
    pub(super) const R8: usize = 9;
    pub(super) const RAX: usize = 10;
    pub(super) const RCX: usize = 11;
    pub(super) const RDX: usize = 12;
    pub(super) const RSI: usize = 13;
    pub(super) const RDI: usize = 14;
    pub(super) const RIP: usize = 16;
    pub(super) const CS: usize = 17;
    pub(super) const RSP: usize = 19;
    /// Words in the struct.
    pub(super) const COUNT: usize = 21;
}

/// Words of `struct pt_regs` by DWARF register number, 0 to 15.
const BY_DWARF_NUMBER: [usize; 16] = [
    pt_regs::RAX,
    pt_regs::RDX,
    pt_regs::RCX,
    pt_regs::RBX,
    pt_regs::RSI,
    pt_regs::RDI,
    pt_regs::RBP,
    pt_regs::RSP,
    pt_regs::R8,
    pt_regs::R9,
    pt_regs::R10,
    pt_regs::R11,
    pt_regs::R12,
    pt_regs::R13,
    pt_regs::R14,
    pt_regs::R15,
];

/// Copies a `pt_regs` into the walk. `$regs` is a pointer to words the verifier lets us load.
macro_rules! load_registers {
    ($scratch:expr, $regs:expr) => {{
        let walk = &raw mut (*$scratch).walk;
        let regs: *const u64 = $regs;
        // Unrolled by hand: a context may be loaded from at constant offsets only.
        load_registers!(@each walk, regs, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        (*walk).pc = core::ptr::read_volatile(regs.add(pt_regs::RIP));
    }};
    (@each $walk:ident, $regs:ident, $($number:literal)*) => {
        $((*$walk).registers[$number] =
            core::ptr::read_volatile($regs.add(const { BY_DWARF_NUMBER[$number] }));)*
    };
}

/// Where the registers of a task's user side are.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum UserSide {
    /// In the walk now; the CPU was in user mode.
    Running,
    /// In the walk now; the CPU was in the kernel on the task's behalf.
    InKernel,
    /// There is none: a kernel thread.
    KernelThread,
    /// It could not be read.
    Unknown,
}

/// Loads the user registers of the interrupted task into the walk.
#[inline(always)]
pub(crate) fn load_user_registers(ctx: &PerfEventContext, scratch: *mut Scratch) -> UserSide {
    let regs: *const u64 = ctx.as_ptr().cast();
    // SAFETY: `bpf_perf_event_data` begins with a `pt_regs`.
    let cs = unsafe { core::ptr::read_volatile(regs.add(pt_regs::CS)) };
    if cs & 3 == 3 {
        // SAFETY: the context is as long as a `pt_regs`; `scratch` is a live map element.
        unsafe { load_registers!(scratch, regs) };
        return UserSide::Running;
    }
    load_saved_registers(scratch)
}

/// Loads the user registers at a uprobe into the walk.
#[inline(always)]
pub(crate) fn load_probed_registers(ctx: &ProbeContext, scratch: *mut Scratch) {
    // SAFETY: the context is a `pt_regs`; `scratch` is a live map element.
    unsafe { load_registers!(scratch, ctx.regs.cast::<u64>()) };
}

/// Loads what the current task saved on entering the kernel.
#[inline(always)]
pub(crate) fn load_saved_registers(scratch: *mut Scratch) -> UserSide {
    if current_mm() == 0 {
        return UserSide::KernelThread;
    }
    let Some(saved) = saved_registers() else {
        return UserSide::Unknown;
    };
    // SAFETY: the destination is as long as the size says; the helper checks the source.
    let status = unsafe {
        probe_read_kernel_raw(
            (&raw mut (*scratch).user_regs).cast(),
            const { (pt_regs::COUNT * 8) as u32 },
            saved as *const _,
        )
    };
    if status != 0 {
        return UserSide::Unknown;
    }
    // SAFETY: `user_regs` was just filled and holds a whole `pt_regs`.
    unsafe {
        load_registers!(scratch, (&raw const (*scratch).user_regs).cast());
        // A kernel worker that borrows a process's memory has no user side; its registers are zero.
        if (*scratch).walk.pc == 0 {
            return UserSide::KernelThread;
        }
    }
    UserSide::InKernel
}

/// The first argument of the system call that the current task is in.
#[inline(always)]
pub(crate) fn first_argument() -> Option<u64> {
    let place = saved_registers()? + const { (pt_regs::RDI * 8) as u64 };
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel(place as *const u64).ok() }
}

/// Address of the current task's saved user registers.
#[inline(always)]
fn saved_registers() -> Option<u64> {
    if config!(has_task_pt_regs) != 0 {
        // SAFETY: the helper takes the current task as this helper returns it.
        return Some(unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as u64);
    }
    let stack = read_task_word(config!(task_stack))?;
    Some(stack + config!(user_regs_offset) as u64)
}

/// Whether the current task is replacing its program: its old stack may be gone already.
#[inline(always)]
pub(crate) fn is_in_exec() -> bool {
    let bits = config!(task_in_execve_bits);
    if bits == OFFSET_MISSING {
        return false;
    }
    // SAFETY: the helper checks the address.
    let byte = unsafe {
        let task = bpf_get_current_task();
        bpf_probe_read_kernel((task + u64::from(bits / 8)) as *const u8)
    };
    byte.is_ok_and(|byte| byte >> (bits % 8) & 1 != 0)
}

/// `current->mm`, 0 for a kernel thread or when it cannot be read.
#[inline(always)]
fn current_mm() -> u64 {
    read_task_word(config!(task_mm)).unwrap_or(0)
}

/// One word of the current task.
#[inline(always)]
fn read_task_word(offset: u32) -> Option<u64> {
    if offset == OFFSET_MISSING {
        return None;
    }
    // SAFETY: the helper checks the address.
    unsafe {
        let task = bpf_get_current_task();
        bpf_probe_read_kernel((task + u64::from(offset)) as *const u64).ok()
    }
}

/// The current task's state: `TASK_*` bits, 0 while it could go on running. When it cannot be read,
/// it waits for something.
#[inline(always)]
pub(crate) fn state() -> u32 {
    // Only the lower half of the word that it is since 5.14, and of the long it was before.
    read_task_word(config!(task_state)).map_or(state::INTERRUPTIBLE, |word| word as u32)
}

/// Bits of a task's state. Source: include/linux/sched.h; the trace events show them to users.
pub(crate) mod state {
    /// Waits, and a signal ends it.
    pub(crate) const INTERRUPTIBLE: u32 = 1;
    /// Has ended; this was its last moment on a CPU.
    pub(crate) const DEAD: u32 = 0x80;
    /// Waits for work: does not count as load.
    pub(crate) const NOLOAD: u32 = 0x400;
}

/// Time that the current task has waited for a CPU in its life, nanoseconds; zero where the kernel
/// does not count it.
#[inline(always)]
pub(crate) fn run_delay_ns() -> u64 {
    read_task_word(config!(task_run_delay)).unwrap_or(0)
}

/// Whether the current system call came in by the 32-bit way, whose numbers mean other calls.
#[inline(always)]
pub(crate) fn is_compat_call() -> bool {
    /// `TS_COMPAT`. Source: arch/x86/include/asm/thread_info.h.
    const COMPAT: u64 = 2;
    read_task_word(config!(task_thread_status)).is_some_and(|status| status & COMPAT != 0)
}

/// Name of the first thread of the current process; empty when it cannot be read.
#[inline(always)]
pub(crate) fn process_name() -> [u8; COMM_SIZE_BYTES] {
    let (leader, comm) = (
        read_task_word(config!(task_group_leader)),
        config!(task_comm),
    );
    let Some(leader) = leader.filter(|_leader| comm != OFFSET_MISSING) else {
        return [0; COMM_SIZE_BYTES];
    };
    let place = (leader + u64::from(comm)) as *const [u8; COMM_SIZE_BYTES];
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel(place) }.unwrap_or([0; COMM_SIZE_BYTES])
}

/// Whether the current task has no user side.
#[inline(always)]
pub(crate) fn is_kernel_thread() -> bool {
    config!(task_mm) != OFFSET_MISSING && current_mm() == 0
}

/// Process (tgid) of a task that a tracepoint handed over.
#[inline(always)]
pub(crate) fn tgid_of(task: u64) -> Option<u32> {
    let offset = config!(task_tgid);
    if offset == OFFSET_MISSING {
        return None;
    }
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel((task + u64::from(offset)) as *const u32).ok() }
}
