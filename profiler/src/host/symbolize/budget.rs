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
    ends_at: Cell<Option<Instant>>,
    /// Steps until the next look at the clock.
    steps_left: Cell<u32>,
    /// The end was seen; stays so.
    expired: Cell<bool>,
}

impl Budget {
    /// Starts the time.
    pub(super) fn new(time: Duration) -> Self {
        Self {
            ends_at: Cell::new(now().checked_add(time)),
            steps_left: Cell::new(STEPS_PER_CLOCK_LOOK),
            expired: Cell::new(false),
        }
    }

    /// Leaves at least this much time from now on, for work that must not starve behind what came
    /// before it.
    pub(super) fn grant(&self, time: Duration) {
        let end = now().checked_add(time);
        if self
            .ends_at
            .get()
            .is_none_or(|old| end.is_none_or(|end| end > old))
        {
            self.ends_at.set(end);
            self.expired.set(false);
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
            if self.ends_at.get().is_some_and(|end| now() >= end) {
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
    fn more_time_can_be_granted() {
        let budget = Budget::new(Duration::ZERO);
        while budget.spend(1).is_ok() {}
        budget.grant(Duration::from_secs(3600));
        assert!(!budget.is_expired());
        budget.grant(Duration::ZERO);
        assert!((0..10_000).all(|_| budget.spend(100).is_ok()));
    }

    #[test]
    fn lasts_while_there_is_time() {
        let budget = Budget::new(Duration::from_secs(3600));
        assert!((0..10_000).all(|_| budget.spend(100).is_ok()));
        assert!(!budget.is_expired());
    }
}
