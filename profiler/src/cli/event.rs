//! Names of what can be watched, as people type them.

use clap::ValueEnum;

use crate::model::Signal;

/// Names of what can be watched.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum EventName {
    /// Time on a CPU
    Cpu,
    /// Time off the CPU: waiting, by reason, or preempted
    Offcpu,
    /// Memory that programs allocate and free, sampled by bytes
    Alloc,
    /// Memory that the kernel gives programs when they first touch it
    #[value(name = "page_fault")]
    PageFault,
    /// Time in system calls, with the stacks that make them
    Syscall,
    /// Every system call: how many, how they ended, how long they took
    #[value(name = "syscall_counts")]
    SyscallCounts,
    /// What programs wait for on TCP connections, with the stacks that wait
    Tcp,
    /// What happens on TCP connections: times, retransmits and bytes by far end
    #[value(name = "tcp_counts")]
    TcpCounts,
}

impl From<EventName> for Signal {
    fn from(name: EventName) -> Self {
        match name {
            EventName::Cpu => Self::Cpu,
            EventName::Offcpu => Self::OffCpu,
            EventName::Alloc => Self::Alloc,
            EventName::PageFault => Self::PageFault,
            EventName::Syscall => Self::Syscall,
            EventName::SyscallCounts => Self::SyscallCounts,
            EventName::Tcp => Self::Tcp,
            EventName::TcpCounts => Self::TcpCounts,
        }
    }
}
