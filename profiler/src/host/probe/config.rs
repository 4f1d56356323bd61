//! What the probe is told: filters, periods, and where this kernel keeps things.

use std::{fs, time::Duration};

use profiler_common::{
    ABI_VERSION,
    limits::{ALLOC_PERIOD_BYTES_MAX, COMM_SIZE_BYTES, DRAW_PERIOD_NS_MAX},
    probe_config::{FILTER_CGROUP, FILTER_COMM, FILTER_PID, OFFSET_MISSING, ProbeConfig},
    system_call::{SYSCALL_COUNTS, SYSCALL_STACKS},
    tcp::{TCP_COUNTS, TCP_STACKS},
};

use super::{
    btf::KernelTypes,
    load::{Filter, Unwinding},
    options::ProbeOptions,
};
use crate::model::Signal;

/// Bytes of the kernel stack of a task, and of the registers at its top.
/// Source: `THREAD_SIZE` of x86-64 without KASAN; used only before 5.15, where no helper tells.
const KERNEL_STACK_SIZE_BYTES: u32 = 16 * 1024;
const REGISTERS_SIZE_BYTES: u32 = 168;

/// What the probe is told. `has_task_pt_regs` is 1 where a helper finds the user registers.
pub(super) fn probe_config(options: &ProbeOptions, has_task_pt_regs: u32) -> ProbeConfig {
    let filter = &options.filter;
    let (cgroup_id, cgroup_level) = filter.cgroup.unwrap_or_default();
    let signals = &options.signals;
    let watches = |signal, bit| when(signals.watches(&[signal]), bit);
    let types = fs::read("/sys/kernel/btf/vmlinux").unwrap_or_default();
    let types = KernelTypes::parse(&types);
    let config = ProbeConfig {
        abi_version: ABI_VERSION,
        filters: when(!filter.pids.is_empty(), FILTER_PID)
            | when(filter.comm.is_some(), FILTER_COMM)
            | when(filter.cgroup.is_some(), FILTER_CGROUP),
        cgroup_id,
        cgroup_level,
        has_task_pt_regs,
        off_cpu_period_ns: period_ns(signals.off_cpu_period),
        alloc_period_bytes: (signals.alloc_period_bytes).clamp(1, ALLOC_PERIOD_BYTES_MAX),
        syscall_period_ns: period_ns(signals.syscall_period),
        syscall_wants: watches(Signal::Syscall, SYSCALL_STACKS)
            | watches(Signal::SyscallCounts, SYSCALL_COUNTS),
        tcp_period_ns: period_ns(signals.tcp_period),
        tcp_wants: watches(Signal::Tcp, TCP_STACKS) | watches(Signal::TcpCounts, TCP_COUNTS),
        user_regs_offset: KERNEL_STACK_SIZE_BYTES - REGISTERS_SIZE_BYTES,
        frame_pointers_only: u32::from(options.unwinding == Unwinding::FramePointers),
        comm: comm(filter),
        ..ProbeConfig::default()
    };
    let offsets = Offsets { types };
    with_socket_offsets(with_task_offsets(config, &offsets), &offsets)
}

/// A bit, when something is on.
fn when(on: bool, bit: u32) -> u32 {
    if on { bit } else { 0 }
}

/// A period as the probe takes it.
fn period_ns(period: Duration) -> u64 {
    u64::try_from(period.as_nanos()).map_or(DRAW_PERIOD_NS_MAX, |ns| ns.min(DRAW_PERIOD_NS_MAX))
}

/// The name that threads are filtered by, as the kernel keeps it.
fn comm(filter: &Filter) -> [u8; COMM_SIZE_BYTES] {
    let mut comm = [0; COMM_SIZE_BYTES];
    let wanted = filter.comm.as_deref().unwrap_or_default();
    // The kernel cuts names to 15 bytes and a zero.
    for (slot, byte) in (comm.iter_mut().take(COMM_SIZE_BYTES - 1)).zip(wanted.bytes()) {
        *slot = byte;
    }
    comm
}

/// Where the running kernel keeps things.
struct Offsets<'a> {
    types: Option<KernelTypes<'a>>,
}

impl Offsets<'_> {
    /// Of a member of a struct; [`OFFSET_MISSING`] when there is none.
    fn of(&self, name: &str, member: &str) -> u32 {
        let types = self.types.as_ref();
        types
            .and_then(|types| types.offset_of(name, member))
            .unwrap_or(OFFSET_MISSING)
    }

    /// Of a member of a struct inside of another.
    fn inside(&self, outer: (&str, &str), inner: (&str, &str)) -> u32 {
        match (self.of(outer.0, outer.1), self.of(inner.0, inner.1)) {
            (OFFSET_MISSING, _) | (_, OFFSET_MISSING) => OFFSET_MISSING,
            (outer, inner) => outer.checked_add(inner).unwrap_or(OFFSET_MISSING),
        }
    }

    /// Of a bitfield, in bits.
    fn bits_of(&self, name: &str, member: &str) -> u32 {
        let types = self.types.as_ref();
        types
            .and_then(|types| types.bit_offset_of(name, member))
            .unwrap_or(OFFSET_MISSING)
    }
}

/// Adds where a task keeps things.
fn with_task_offsets(config: ProbeConfig, offsets: &Offsets<'_>) -> ProbeConfig {
    let task = |member| offsets.of("task_struct", member);
    let run_delay = ("sched_info", "run_delay");
    ProbeConfig {
        task_mm: task("mm"),
        task_stack: task("stack"),
        task_tgid: task("tgid"),
        // Renamed in 5.14.
        task_state: match task("__state") {
            OFFSET_MISSING => task("state"),
            offset => offset,
        },
        task_run_delay: offsets.inside(("task_struct", "sched_info"), run_delay),
        task_in_execve_bits: offsets.bits_of("task_struct", "in_execve"),
        task_thread_status: offsets
            .inside(("task_struct", "thread_info"), ("thread_info", "status")),
        task_group_leader: task("group_leader"),
        task_comm: task("comm"),
        task_files: task("files"),
        ..config
    }
}

/// Adds where a socket keeps things, and how it is found by its descriptor.
fn with_socket_offsets(config: ProbeConfig, offsets: &Offsets<'_>) -> ProbeConfig {
    let common = |member| offsets.inside(("sock", "__sk_common"), ("sock_common", member));
    ProbeConfig {
        sock_family: common("skc_family"),
        sock_address: common("skc_daddr"),
        sock_address_v6: common("skc_v6_daddr"),
        sock_remote_port: common("skc_dport"),
        sock_local_port: common("skc_num"),
        sock_protocol: offsets.of("sock", "sk_protocol"),
        sock_error: offsets.of("sock", "sk_err"),
        tcp_round_trip: offsets.of("tcp_sock", "srtt_us"),
        files_table: offsets.of("files_struct", "fdt"),
        table_files: offsets.of("fdtable", "fd"),
        file_private: offsets.of("file", "private_data"),
        socket_sock: offsets.of("socket", "sk"),
        ..config
    }
}
