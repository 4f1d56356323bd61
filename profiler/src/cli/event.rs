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
}

impl From<EventName> for Signal {
    fn from(name: EventName) -> Self {
        match name {
            EventName::Cpu => Self::Cpu,
            EventName::Offcpu => Self::OffCpu,
        }
    }
}
