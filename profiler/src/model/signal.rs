//! What is watched.

use serde::{Deserialize, Serialize};

/// Values of one sample: as many as the signal with the most has, in the order of the signal's
/// value types; the rest is zero.
pub type Values = [u64; 4];

/// What was watched.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Time on a CPU.
    #[default]
    Cpu,
    /// Time that threads were ready or waiting, and not on a CPU.
    #[serde(rename = "offcpu")]
    OffCpu,
    /// Time in system calls, by the stack that made them.
    Syscall,
    /// Every system call, counted by call, outcome and duration.
    SyscallCounts,
    /// Memory that programs allocate and free.
    Alloc,
    /// Memory that the kernel gave programs when they first touched it.
    PageFault,
    /// What programs wait for on TCP connections, by the stack that waits.
    Tcp,
    /// What happens on TCP connections, counted by far end and measure.
    TcpCounts,
    /// What another profiler watched, under a name that this product does not know.
    Imported,
}

impl Signal {
    /// What this product watches itself.
    pub const WATCHED: [Self; 8] = [
        Self::Cpu,
        Self::OffCpu,
        Self::Syscall,
        Self::SyscallCounts,
        Self::Alloc,
        Self::PageFault,
        Self::Tcp,
        Self::TcpCounts,
    ];

    /// The word of the command line and of file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::OffCpu => "offcpu",
            Self::Syscall => "syscall",
            Self::SyscallCounts => "syscall_counts",
            Self::Alloc => "alloc",
            Self::PageFault => "page_fault",
            Self::Tcp => "tcp",
            Self::TcpCounts => "tcp_counts",
            Self::Imported => "imported",
        }
    }

    /// The signal of a name.
    pub fn named(name: &str) -> Self {
        let is_named = |signal: &Self| signal.as_str() == name;
        (Self::WATCHED.into_iter())
            .find(is_named)
            .unwrap_or(Self::Imported)
    }

    /// The exact table that the same probe fills, and that is kept wherever this signal is watched
    /// for good.
    pub fn table(self) -> Option<Self> {
        match self {
            Self::Syscall => Some(Self::SyscallCounts),
            Self::Tcp => Some(Self::TcpCounts),
            Self::Cpu
            | Self::OffCpu
            | Self::SyscallCounts
            | Self::Alloc
            | Self::PageFault
            | Self::TcpCounts
            | Self::Imported => None,
        }
    }

    /// What the values of a sample count and in which unit; the first is the one that pictures are
    /// drawn with.
    pub fn value_types(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Cpu => &[("samples", "count"), ("cpu", "nanoseconds")],
            Self::OffCpu => &[
                ("delay", "nanoseconds"),
                ("events", "count"),
                ("runqueue", "nanoseconds"),
            ],
            Self::Syscall => &[("time", "nanoseconds"), ("calls", "count")],
            Self::SyscallCounts => &[("calls", "count"), ("time", "nanoseconds")],
            Self::Alloc => &[
                ("alloc_space", "bytes"),
                ("alloc_objects", "count"),
                ("free_space", "bytes"),
                ("free_objects", "count"),
            ],
            Self::PageFault => &[("faults", "count"), ("memory", "bytes")],
            Self::Tcp => &[("time", "nanoseconds"), ("events", "count")],
            Self::TcpCounts => &[
                ("events", "count"),
                ("time", "nanoseconds"),
                ("transferred", "bytes"),
            ],
            Self::Imported => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Signal, Values};

    #[test]
    fn a_name_leads_back_to_its_signal() {
        for signal in Signal::WATCHED {
            assert_eq!(signal, Signal::named(signal.as_str()));
            assert!(signal.value_types().len() <= Values::default().len());
        }
        assert_eq!(Signal::Imported, Signal::named("wall"));
    }

    #[test]
    fn files_and_the_command_line_have_the_same_words() {
        for signal in Signal::WATCHED {
            let written = serde_json::to_string(&signal).unwrap();
            assert_eq!(format!("\"{}\"", signal.as_str()), written);
        }
    }
}
