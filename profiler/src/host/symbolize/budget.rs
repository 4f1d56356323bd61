//! How long the naming of one object may take.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use super::{error::ReadError, limits::STEPS_PER_CLOCK_LOOK};

/// A deadline that is cheap to ask for. Every loop over foreign data counts its steps here.
#[derive(Debug)]
pub(super) struct Budget {
    /// End of the time, absent when the clock cannot hold it.
    ends_at: Option<Instant>,
    /// Steps until the next look at the clock.
    steps_left: Cell<u32>,
    /// The end was seen; stays so.
    expired: Cell<bool>,
}

impl Budget {
    /// Starts the time.
    pub(super) fn new(time: Duration) -> Self {
        Self {
            ends_at: now().checked_add(time),
            steps_left: Cell::new(STEPS_PER_CLOCK_LOOK),
            expired: Cell::new(false),
        }
    }

    /// Counts steps of work.
    ///
    /// # Errors
    /// [`ReadError::Bounded`] when the time is over.
    pub(super) fn spend(&self, steps: u32) -> Result<(), ReadError> {
        let left = self.steps_left.get().saturating_sub(steps);
        self.steps_left.set(left);
        if left == 0 {
            self.steps_left.set(STEPS_PER_CLOCK_LOOK);
            if self.ends_at.is_some_and(|end| now() >= end) {
                self.expired.set(true);
            }
        }
        if self.expired.get() {
            return Err(ReadError::Bounded { what: "time" });
        }
        Ok(())
    }

    /// Whether the time was over when last looked at.
    pub(super) fn is_expired(&self) -> bool {
        self.expired.get()
    }
}

/// Reads the monotonic clock.
#[expect(
    clippy::disallowed_methods,
    reason = "bounds one call from inside it; no time leaves this file"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Budget;

    #[test]
    fn ends_when_the_time_is_over_and_stays_ended() {
        let budget = Budget::new(Duration::ZERO);
        let steps = (0..10_000).take_while(|_| budget.spend(1).is_ok()).count();
        assert!(steps < 1_000, "{steps} steps after the end");
        assert!(budget.is_expired());
        assert!(budget.spend(1).is_err());
    }

    #[test]
    fn lasts_while_there_is_time() {
        let budget = Budget::new(Duration::from_secs(3600));
        assert!((0..10_000).all(|_| budget.spend(100).is_ok()));
        assert!(!budget.is_expired());
    }
}
