//! The wish that a daemon samples more, for a while.

use std::time::Duration;

use super::Pid;

/// Sample more, for a while.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BurstOrder {
    /// Names the order; the service gives it.
    pub id: u64,
    /// Which signal.
    pub signal: String,
    /// Samples a second and CPU.
    pub rate_hz: u32,
    /// How long.
    pub duration: Duration,
    /// Only these processes; empty for the whole host.
    pub pids: Vec<Pid>,
}
