//! What the probe is loaded for.

use std::time::Duration;

use super::load::{Filter, Unwinding};
use crate::model::Signal;

/// Waits off the CPU, and system calls, of this length or longer are all sent; of shorter ones, one
/// for each so much time in all. A sent one costs about 5 µs, so a thread pays half a percent of
/// its waiting time at most; and of ten seconds of waiting, however short the waits, the estimate
/// is off by 1 %.
const PERIOD: Duration = Duration::from_millis(1);
/// Bytes allocated for each allocation that is sent.
const ALLOC_PERIOD_BYTES: u64 = 512 << 10;

/// What is watched, and how closely.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignalOptions {
    /// What is watched; each becomes a profile, in this order.
    pub signals: Vec<Signal>,
    /// Waits off the CPU of this length or longer are all sent.
    pub off_cpu_period: Duration,
    /// System calls of this length or longer are all sent.
    pub syscall_period: Duration,
    /// Waits for TCP connections of this length or longer are all sent.
    pub tcp_period: Duration,
    /// Mean number of bytes allocated between two allocations that are sent.
    pub alloc_period_bytes: u64,
}

impl Default for SignalOptions {
    fn default() -> Self {
        Self {
            signals: vec![Signal::Cpu],
            off_cpu_period: PERIOD,
            syscall_period: PERIOD,
            tcp_period: PERIOD,
            alloc_period_bytes: ALLOC_PERIOD_BYTES,
        }
    }
}

impl SignalOptions {
    /// The usual options for these signals, each taken once.
    pub fn of(signals: impl IntoIterator<Item = Signal>) -> Self {
        let mut once = Vec::new();
        for signal in signals {
            if !once.contains(&signal) {
                once.push(signal);
            }
        }
        Self {
            signals: once,
            ..Self::default()
        }
    }

    /// The same for signals that are watched for good: with the exact tables that their probes fill.
    pub fn with_tables(signals: impl IntoIterator<Item = Signal>) -> Self {
        let with_table = |signal: Signal| [Some(signal), signal.table()];
        Self::of(signals.into_iter().flat_map(with_table).flatten())
    }

    /// Whether one of these signals is watched.
    pub fn watches(&self, signals: &[Signal]) -> bool {
        self.signals.iter().any(|signal| signals.contains(signal))
    }
}

/// What the probe is loaded for.
#[derive(Clone, Debug)]
pub struct ProbeOptions {
    /// Which tasks are sampled.
    pub filter: Filter,
    /// How user stacks are followed.
    pub unwinding: Unwinding,
    /// Samples a second and CPU: sizes the ring.
    pub rate_hz: u32,
    /// CPUs of the host: sizes the ring.
    pub cpus: u32,
    /// What is watched.
    pub signals: SignalOptions,
}

#[cfg(test)]
mod tests {
    use super::SignalOptions;
    use crate::model::Signal;

    #[test]
    fn each_signal_is_watched_once_and_for_good_with_its_table() {
        let asked = [Signal::Cpu, Signal::Syscall, Signal::Cpu];
        assert_eq!(
            vec![Signal::Cpu, Signal::Syscall],
            SignalOptions::of(asked).signals
        );
        let for_good = SignalOptions::with_tables(asked);
        let expected = vec![Signal::Cpu, Signal::Syscall, Signal::SyscallCounts];
        assert_eq!(expected, for_good.signals);
        assert!(for_good.watches(&[Signal::OffCpu, Signal::SyscallCounts]));
        assert!(!for_good.watches(&[Signal::OffCpu]));
    }
}
