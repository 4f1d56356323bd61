//! How long to wait before connecting again.

use std::time::Duration;

use super::limits::{FAILURES_UNTIL_OPEN, PAUSE_MAX, PAUSE_MIN, PAUSE_OPEN};

/// Failures in a row. After a few the pause grows; after many the breaker opens, and the service is
/// only tried now and then until it answers.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The service took something.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure; returns how long to wait. `random` is from 0 to 1 and spreads daemons that
    /// lost the same service.
    pub(super) fn failed(&mut self, random: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        if self.is_open() {
            return PAUSE_OPEN.mul_f64(0.5 + random);
        }
        let doubled = PAUSE_MIN.saturating_mul(1 << self.failures.min(16));
        doubled.min(PAUSE_MAX).mul_f64(random.clamp(0.1, 1.0))
    }

    /// Whether the breaker is open.
    pub(super) fn is_open(&self) -> bool {
        FAILURES_UNTIL_OPEN <= self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, FAILURES_UNTIL_OPEN, PAUSE_MAX, PAUSE_OPEN};

    #[test]
    fn pauses_grow_to_a_bound_then_the_breaker_opens_until_success() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (1..FAILURES_UNTIL_OPEN)
            .map(|_| backoff.failed(1.0))
            .collect();
        assert!(pauses.is_sorted() && pauses.iter().all(|pause| *pause <= PAUSE_MAX));
        assert!(!backoff.is_open());
        assert_eq!(PAUSE_OPEN.mul_f64(1.5), backoff.failed(1.0));
        assert!(backoff.is_open());
        backoff.succeeded();
        assert!(!backoff.is_open());
        assert!(backoff.failed(1.0) <= pauses[0]);
    }

    #[test]
    fn daemons_do_not_come_back_at_once() {
        let at = |random| Backoff::default().failed(random);
        assert!(at(0.0) < at(0.5) && at(0.5) < at(1.0));
        assert!(0 < at(0.0).as_millis());
    }
}
