//! How much a client may send over time.

use std::time::Duration;

use super::limits::{BURST_SECONDS, SLOW_DOWN_MAX};

/// A quantity that comes back over time, as full as a burst. What is spent beyond it is debt.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    per_second: f64,
    left: f64,
}

/// What one client may still send.
#[derive(Debug)]
pub(super) struct Allowance {
    bytes: Bucket,
    stacks: Bucket,
    /// Monotonic time up to which it came back.
    filled: Duration,
}

impl Bucket {
    /// As full as it gets.
    #[expect(clippy::cast_precision_loss, reason = "rates are far below 2^53")]
    fn new(per_second: u64) -> Self {
        let per_second = per_second as f64;
        Self {
            per_second,
            left: per_second * f64::from(BURST_SECONDS),
        }
    }

    /// Gives back what the time brought.
    fn fill(&mut self, elapsed: Duration) {
        let most = self.per_second * f64::from(BURST_SECONDS);
        self.left = most.min(self.left + elapsed.as_secs_f64() * self.per_second);
    }

    /// Takes an amount; says how long it takes until the debt is paid.
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
    fn spend(&mut self, amount: u64) -> Duration {
        self.left -= amount as f64;
        let wait_s = (-self.left / self.per_second).clamp(0.0, SLOW_DOWN_MAX.as_secs_f64());
        Duration::from_secs_f64(wait_s)
    }
}

impl Allowance {
    /// Nothing was sent yet.
    pub(super) fn new(bytes_per_second: u64, stacks_per_second: u64, now: Duration) -> Self {
        Self {
            bytes: Bucket::new(bytes_per_second),
            stacks: Bucket::new(stacks_per_second),
            filled: now,
        }
    }

    /// Takes what a batch costs; says how long the client has to wait before the next one.
    pub(super) fn spend(&mut self, bytes: usize, stacks: usize, now: Duration) -> Duration {
        let elapsed = now.saturating_sub(self.filled);
        self.filled = now;
        self.bytes.fill(elapsed);
        self.stacks.fill(elapsed);
        let bytes = self.bytes.spend(bytes as u64);
        bytes.max(self.stacks.spend(stacks as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Allowance;

    #[test]
    fn a_burst_is_free_and_more_is_waited_for() {
        let mut allowance = Allowance::new(100, 10, Duration::ZERO);
        assert_eq!(Duration::ZERO, allowance.spend(1000, 1, Duration::ZERO));
        let second = Duration::from_secs(1);
        assert_eq!(second, allowance.spend(100, 1, Duration::ZERO));
        // After the wait the debt is paid.
        assert_eq!(Duration::ZERO, allowance.spend(0, 1, second));
    }

    #[test]
    fn stacks_count_as_bytes_do() {
        let mut allowance = Allowance::new(1 << 20, 10, Duration::ZERO);
        let wait = allowance.spend(10, 150, Duration::ZERO);
        assert_eq!(Duration::from_secs(5), wait);
    }

    #[test]
    fn no_wait_is_longer_than_a_stream_survives() {
        let mut allowance = Allowance::new(1, 1, Duration::ZERO);
        let wait = allowance.spend(1 << 30, 1, Duration::ZERO);
        assert_eq!(super::SLOW_DOWN_MAX, wait);
    }
}
