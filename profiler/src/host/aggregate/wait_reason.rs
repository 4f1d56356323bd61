//! What a thread waited for, told by how it left the CPU and by the kernel functions it waited in.

use super::{identity::function, place::Place, profile::Names};
use crate::model::Wait;

/// What a thread waited for: the value of the label `reason`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum WaitReason {
    /// A mutex, a condition, a semaphore, a file lock; in user space or in the kernel.
    Lock,
    /// A block device or a file system.
    Disk,
    /// A socket.
    Network,
    /// A time to come.
    Timer,
    /// Memory that had to be brought in.
    PageFault,
    /// A pipe or a terminal.
    Pipe,
    /// Any one of several files: epoll, poll, select, a ring.
    Poll,
    /// A CPU: the thread could have gone on.
    Preempted,
    /// Work: in a kernel thread, or all the time at the same place.
    Idle,
    /// None of these, or the kernel's functions have no names here.
    Other,
}

/// Beginnings of names of kernel functions that tell the reason. A name that fits several is in the
/// first list that has it.
const TELLTALES: [(WaitReason, &[&str]); 7] = [
    (
        WaitReason::Timer,
        &[
            "hrtimer_nanosleep",
            "do_nanosleep",
            "common_nsleep",
            "clock_nanosleep",
            "timerfd_read",
            "msleep",
            "usleep_range",
        ],
    ),
    (
        WaitReason::Lock,
        &[
            "futex_",
            "__futex_",
            "do_futex",
            "mutex_lock",
            "__mutex_lock",
            "rt_mutex_",
            "__rt_mutex_",
            "rwsem_",
            "down_read",
            "down_write",
            "__down_",
            "percpu_down_",
            "__percpu_down_",
            "flock_lock_",
            "posix_lock_",
            "fcntl_setlk",
            "__do_semtimedop",
            "do_semtimedop",
        ],
    ),
    (
        WaitReason::PageFault,
        &[
            "exc_page_fault",
            "asm_exc_page_fault",
            "handle_mm_fault",
            "handle_userfault",
        ],
    ),
    (
        WaitReason::Pipe,
        &[
            "pipe_read",
            "pipe_write",
            "anon_pipe_",
            "pipe_wait_",
            "fifo_open",
            "n_tty_read",
            "n_tty_write",
        ],
    ),
    (
        WaitReason::Poll,
        &[
            "ep_poll",
            "do_epoll_",
            "do_poll",
            "do_sys_poll",
            "do_select",
            "io_cqring_wait",
            "eventfd_read",
            "signalfd_",
            "inotify_read",
        ],
    ),
    (
        WaitReason::Network,
        &[
            "tcp_",
            "udp_",
            "udpv6_",
            "inet_",
            "inet6_",
            "unix_",
            "sk_wait_",
            "sk_stream_wait_",
            "sock_",
            "__skb_wait_",
            "netlink_",
            "packet_",
            "vsock_",
            "do_accept",
        ],
    ),
    (
        WaitReason::Disk,
        &[
            "io_schedule",
            "bit_wait_io",
            "folio_wait_",
            "__folio_lock",
            "filemap_",
            "submit_bio_wait",
            "blk_",
            "rq_qos_",
            "wait_on_buffer",
            "__wait_on_buffer",
            "vfs_fsync",
            "iomap_dio_",
            "jbd2_",
            "ext4_",
            "xfs_",
            "btrfs_",
            "nfs_",
            "fuse_",
            "request_wait_answer",
        ],
    ),
];

/// Parts of names of functions that wait for a condition, in C, C++ and Rust.
const CONDITIONS: [&str; 6] = [
    "pthread_cond_wait",
    "pthread_cond_timedwait",
    "pthread_cond_clockwait",
    "condition_variable",
    "Condvar",
    "sem_wait",
];

impl WaitReason {
    /// The value of the label.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Disk => "disk",
            Self::Network => "network",
            Self::Timer => "timer",
            Self::PageFault => "page_fault",
            Self::Pipe => "pipe",
            Self::Poll => "poll",
            Self::Preempted => "preempted",
            Self::Idle => "idle",
            Self::Other => "other",
        }
    }

    /// Why a thread with this stack was off the CPU.
    pub(super) fn of(wait: Wait, stack: &[Place], names: &Names) -> Self {
        match wait {
            Wait::Runnable => Self::Preempted,
            Wait::Idle => Self::Idle,
            Wait::Blocked => Self::of_functions(&mut stack.iter().filter_map(|place| {
                let is_kernel = matches!(place, Place::Kernel { .. });
                let named = names.get(place).filter(|_named| is_kernel)?;
                function(&named.naming)
            })),
        }
    }

    /// Whether a wait with this stack may be one for work: for any of several files, or for a
    /// condition that another thread makes true. A mutex, a time or one socket is what somebody
    /// waits for.
    pub(super) fn is_for_work(self, stack: &[Place], names: &Names) -> bool {
        match self {
            Self::Poll => true,
            Self::Lock => stack.iter().any(|place| {
                let named = names.get(place).and_then(|named| function(&named.naming));
                named.is_some_and(|name| CONDITIONS.iter().any(|part| name.contains(part)))
            }),
            Self::Disk
            | Self::Network
            | Self::Timer
            | Self::PageFault
            | Self::Pipe
            | Self::Preempted
            | Self::Idle
            | Self::Other => false,
        }
    }

    /// The reason that the innermost telling function gives. A page fault is one even when it waits
    /// for a disk; when it waits for a lock, the lock is the reason.
    fn of_functions(innermost_first: &mut dyn Iterator<Item = &str>) -> Self {
        let mut reasons = innermost_first.filter_map(Self::of_function);
        match reasons.next() {
            Some(Self::Disk) if reasons.any(|reason| reason == Self::PageFault) => Self::PageFault,
            Some(reason) => reason,
            None => Self::Other,
        }
    }

    /// The reason that one kernel function tells.
    fn of_function(name: &str) -> Option<Self> {
        let tells = |beginnings: &[&str]| beginnings.iter().any(|start| name.starts_with(start));
        TELLTALES
            .iter()
            .find(|(_reason, beginnings)| tells(beginnings))
            .map(|(reason, _beginnings)| *reason)
    }
}

#[cfg(test)]
mod tests {
    use super::WaitReason;

    /// Kernel stacks as kernels 5.10 to 6.18 print them, innermost first, and their reason.
    #[track_caller]
    fn check(expected: &str, innermost_first: &str) {
        let mut names = innermost_first.split(' ');
        assert_eq!(expected, WaitReason::of_functions(&mut names).as_str());
    }

    #[test]
    fn the_innermost_telling_function_decides() {
        check(
            "timer",
            "__schedule schedule do_nanosleep hrtimer_nanosleep x64_sys_call",
        );
        check(
            "lock",
            "__schedule schedule futex_wait_queue __futex_wait futex_wait do_futex",
        );
        check(
            "lock",
            "__schedule schedule rwsem_down_read_slowpath exc_page_fault",
        );
        check(
            "pipe",
            "__schedule schedule anon_pipe_read vfs_read ksys_read",
        );
        check(
            "poll",
            "__schedule schedule schedule_hrtimeout_range ep_poll do_epoll_wait",
        );
        check(
            "network",
            "__schedule schedule_timeout wait_woken sk_wait_data tcp_recvmsg_locked",
        );
        check(
            "disk",
            "__schedule schedule io_schedule folio_wait_bit_common filemap_read",
        );
        check(
            "page_fault",
            "__schedule io_schedule folio_wait_bit_common filemap_fault handle_mm_fault",
        );
        check("other", "__schedule schedule do_wait kernel_wait4");
        check("other", "");
    }
}
