//! The kernel side: program entry points and the licence, nothing else.
#![no_std]
#![no_main]
// The only way to an atomic instruction: see `atomic.rs`.
#![feature(asm_experimental_arch)]

mod alloc;
mod atomic;
mod cpu;
mod draw;
mod emit;
mod filter;
mod lifecycle;
mod maps;
mod off_cpu;
mod page_fault;
mod sock;
mod stack;
mod syscall;
mod table;
mod task;
mod tcp;
mod unwind;

use aya_ebpf::{
    macros::{kprobe, perf_event, raw_tracepoint, tracepoint, uprobe, uretprobe},
    programs::{
        PerfEventContext, ProbeContext, RawTracePointContext, RetProbeContext, TracePointContext,
    },
};

/// CPU samples with table-driven stacks. Needs `bpf_loop`. Since: Linux 5.17.
#[perf_event]
fn cpu(ctx: PerfEventContext) -> u32 {
    cpu::sample(&ctx, unwind::walk);
    0
}

/// CPU samples with frame-pointer stacks, for kernels without `bpf_loop`.
#[perf_event]
fn cpu_frame_pointers(ctx: PerfEventContext) -> u32 {
    cpu::sample(&ctx, unwind::walk_frame_pointers);
    0
}

/// A new process starts with its parent's mappings and filter.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
fn process_fork(ctx: RawTracePointContext) -> i32 {
    lifecycle::fork(ctx.arg(0), ctx.arg(1));
    0
}

/// A process that runs another program must not be walked with the old mappings.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
fn process_exec(ctx: RawTracePointContext) -> i32 {
    lifecycle::exec(&ctx);
    0
}

/// A task leaves the CPU; it is still the current one.
#[raw_tracepoint(tracepoint = "sched_switch")]
fn off_cpu_leave(_ctx: RawTracePointContext) -> i32 {
    off_cpu::leave();
    0
}

/// The scheduler is done, in the context of the task that runs now. Since: Linux 6.14.
#[raw_tracepoint(tracepoint = "sched_exit_tp")]
fn off_cpu_arrive(ctx: RawTracePointContext) -> i32 {
    off_cpu::arrive(&ctx, unwind::walk);
    0
}

/// The same moment on kernels without that tracepoint, at `finish_task_switch`.
#[kprobe]
fn off_cpu_arrive_kprobe(ctx: ProbeContext) -> u32 {
    off_cpu::arrive(&ctx, unwind::walk);
    0
}

/// The same for kernels without `bpf_loop`.
#[kprobe]
fn off_cpu_arrive_kprobe_frame_pointers(ctx: ProbeContext) -> u32 {
    off_cpu::arrive(&ctx, unwind::walk_frame_pointers);
    0
}

/// Begin and return of a function that allocates or frees. Since: Linux 6.13.
#[uprobe]
fn alloc_session(ctx: ProbeContext) -> u32 {
    u32::from(!alloc::session(&ctx, unwind::walk))
}

/// The same with frame-pointer stacks.
#[uprobe]
fn alloc_session_frame_pointers(ctx: ProbeContext) -> u32 {
    u32::from(!alloc::session(&ctx, unwind::walk_frame_pointers))
}

/// The begin, for kernels without sessions.
#[uprobe]
fn alloc_begin(ctx: ProbeContext) -> u32 {
    _ = alloc::begin(&ctx);
    0
}

/// The return, for kernels without sessions.
#[uretprobe]
fn alloc_finish(ctx: RetProbeContext) -> u32 {
    alloc::finish(&ProbeContext { regs: ctx.regs }, unwind::walk);
    0
}

/// The return, for kernels without `bpf_loop` either.
#[uretprobe]
fn alloc_finish_frame_pointers(ctx: RetProbeContext) -> u32 {
    alloc::finish(
        &ProbeContext { regs: ctx.regs },
        unwind::walk_frame_pointers,
    );
    0
}

/// Every so many page faults of a CPU.
#[perf_event]
fn page_fault(ctx: PerfEventContext) -> u32 {
    page_fault::sample(&ctx, unwind::walk);
    0
}

/// The same with frame-pointer stacks.
#[perf_event]
fn page_fault_frame_pointers(ctx: PerfEventContext) -> u32 {
    page_fault::sample(&ctx, unwind::walk_frame_pointers);
    0
}

/// A system call begins.
#[raw_tracepoint(tracepoint = "sys_enter")]
fn syscall_enter(ctx: RawTracePointContext) -> i32 {
    syscall::enter(ctx.arg(1));
    0
}

/// A system call ends, in the context of the task that made it.
#[raw_tracepoint(tracepoint = "sys_exit")]
fn syscall_leave(ctx: RawTracePointContext) -> i32 {
    syscall::leave(ctx.arg(1), unwind::walk);
    0
}

/// The same for kernels without `bpf_loop`.
#[raw_tracepoint(tracepoint = "sys_exit")]
fn syscall_leave_frame_pointers(ctx: RawTracePointContext) -> i32 {
    syscall::leave(ctx.arg(1), unwind::walk_frame_pointers);
    0
}

/// A thread ends, mostly inside a call that never returns.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
fn syscall_thread_end(_ctx: RawTracePointContext) -> i32 {
    syscall::thread_end();
    0
}

/// Never attached: the daemon runs it at the end of a window. Since: Linux 5.13.
#[raw_tracepoint(tracepoint = "sys_exit")]
fn syscall_in_flight(_ctx: RawTracePointContext) -> i32 {
    syscall::charge_in_flight();
    0
}

/// A socket changes its state.
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
fn tcp_change(ctx: RawTracePointContext) -> i32 {
    tcp::change(ctx.arg(0), ctx.arg(1), ctx.arg(2));
    0
}

/// A program sent something. Since: Linux 6.3.
#[raw_tracepoint(tracepoint = "sock_send_length")]
fn tcp_sent(ctx: RawTracePointContext) -> i32 {
    let result: i32 = ctx.arg(1);
    tcp::sent(ctx.arg(0), i64::from(result), unwind::walk);
    0
}

/// A program received something. Since: Linux 6.3.
#[raw_tracepoint(tracepoint = "sock_recv_length")]
fn tcp_received(ctx: RawTracePointContext) -> i32 {
    let (result, flags): (i32, u32) = (ctx.arg(1), ctx.arg(2));
    tcp::received(
        ctx.arg(0),
        i64::from(result),
        u64::from(flags),
        unwind::walk,
    );
    0
}

/// A segment is sent again.
#[raw_tracepoint(tracepoint = "tcp_retransmit_skb")]
fn tcp_retransmit(ctx: RawTracePointContext) -> i32 {
    tcp::retransmit(ctx.arg(0));
    0
}

/// A program comes back from `accept`.
#[tracepoint]
fn tcp_accept(ctx: TracePointContext) -> u32 {
    tcp::accept(result_of(&ctx), unwind::walk);
    0
}

/// A program comes back from `connect`.
#[tracepoint]
fn tcp_connected(ctx: TracePointContext) -> u32 {
    tcp::connected(result_of(&ctx), unwind::walk);
    0
}

/// What a system call returns, at the tracepoint of its end.
#[inline(always)]
fn result_of(ctx: &TracePointContext) -> i64 {
    /// Place of the result behind what all tracepoints have, and the number of the call.
    const RESULT: usize = 16;
    // SAFETY: the kernel's own layout; it is longer.
    unsafe { ctx.read_at(RESULT) }.unwrap_or(-1)
}

/// Nothing here panics; the compiler wants a handler all the same.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The helpers used here are open to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
