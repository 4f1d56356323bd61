//! What the daemon tells the probe before it is loaded.
//!
//! Written once by the daemon into read-only data; the verifier sees constants and removes the
//! branches that this kernel or this run does not take.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::limits::COMM_SIZE_BYTES;

/// An offset that the running kernel's BTF does not have.
pub const OFFSET_MISSING: u32 = u32::MAX;

/// Only processes in the target map are sampled, and their children join it.
pub const FILTER_PID: u32 = 1;
/// Only threads with this name are sampled.
pub const FILTER_COMM: u32 = 1 << 1;
/// Only tasks in this cgroup (version 2) or below it are sampled.
pub const FILTER_CGROUP: u32 = 1 << 2;

/// Filters, kernel features and offsets into kernel structs.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct ProbeConfig {
    /// [`crate::ABI_VERSION`] of the daemon.
    pub abi_version: u32,
    /// `FILTER_*` bits.
    pub filters: u32,
    /// Cgroup to sample, with `FILTER_CGROUP`.
    pub cgroup_id: u64,
    /// Levels between the root cgroup and `cgroup_id`.
    pub cgroup_level: u32,
    /// 1: the helper that finds a task's user registers exists (kernel 5.15).
    pub has_task_pt_regs: u32,
    /// Offset of `task_struct.mm`.
    pub task_mm: u32,
    /// Offset of `task_struct.stack`.
    pub task_stack: u32,
    /// Offset of `task_struct.tgid`.
    pub task_tgid: u32,
    /// Bytes from `task_struct.stack` to the user registers at the top of the kernel stack.
    pub user_regs_offset: u32,
    /// 1: never use tables, follow frame pointers only (`--unwind fp`).
    pub frame_pointers_only: u32,
    /// Offset of `task_struct.in_execve`, in bits: it is a bitfield.
    pub task_in_execve_bits: u32,
    /// Offset of `task_struct.__state`, or of `state` before 5.14.
    pub task_state: u32,
    /// Offset of `task_struct.sched_info.run_delay`.
    pub task_run_delay: u32,
    /// Waits off the CPU of this length or longer are all sent; shorter ones with a probability in
    /// proportion. Nanoseconds, at most [`crate::limits::DRAW_PERIOD_NS_MAX`].
    pub off_cpu_period_ns: u64,
    /// Mean number of bytes between two allocations that are sent, at most
    /// [`crate::limits::ALLOC_PERIOD_BYTES_MAX`].
    pub alloc_period_bytes: u64,
    /// System calls of this length or longer are all sent; shorter ones with a probability in
    /// proportion. Nanoseconds, at most [`crate::limits::DRAW_PERIOD_NS_MAX`].
    pub syscall_period_ns: u64,
    /// What is wanted of system calls: `system_call::SYSCALL_*` bits.
    pub syscall_wants: u32,
    /// Offset of `task_struct.thread_info.status`, which says whether a system call came in by the
    /// 32-bit way.
    pub task_thread_status: u32,
    /// Offset of `task_struct.group_leader`.
    pub task_group_leader: u32,
    /// Offset of `task_struct.comm`.
    pub task_comm: u32,
    /// Waits for TCP connections of this length or longer are all sent; shorter ones with a probability
    /// in proportion. Nanoseconds, at most [`crate::limits::DRAW_PERIOD_NS_MAX`].
    pub tcp_period_ns: u64,
    /// What is wanted of TCP connections: `tcp::TCP_*` bits.
    pub tcp_wants: u32,
    /// Offset of `sock_common.skc_family`, from the start of `sock` as all of these.
    pub sock_family: u32,
    /// Offset of `sock_common.skc_daddr`.
    pub sock_address: u32,
    /// Offset of `sock_common.skc_v6_daddr`.
    pub sock_address_v6: u32,
    /// Offset of `sock_common.skc_dport`.
    pub sock_remote_port: u32,
    /// Offset of `sock_common.skc_num`.
    pub sock_local_port: u32,
    /// Offset of `sock.sk_protocol`.
    pub sock_protocol: u32,
    /// Offset of `sock.sk_err`.
    pub sock_error: u32,
    /// Offset of `tcp_sock.srtt_us`.
    pub tcp_round_trip: u32,
    /// Offset of `task_struct.files`.
    pub task_files: u32,
    /// Offset of `files_struct.fdt`.
    pub files_table: u32,
    /// Offset of `fdtable.fd`.
    pub table_files: u32,
    /// Offset of `file.private_data`.
    pub file_private: u32,
    /// Offset of `socket.sk`.
    pub socket_sock: u32,
    /// Thread name to sample, with `FILTER_COMM`, padded with zeros.
    pub comm: [u8; COMM_SIZE_BYTES],
}

const _: () = assert!(size_of::<ProbeConfig>() == 176);
const _: () = assert!(core::mem::offset_of!(ProbeConfig, comm) == 160);
