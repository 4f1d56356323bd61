//! How long recovery waits.

use std::time::Duration;

use super::limits::{HOLD_MAX, RELAPSE};

/// How long recovery waits: longer each time it was too early.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    /// Calm that is waited for: at least, and now.
    least: Duration,
    pub(super) hold: Duration,
    /// Time since the last step.
    since: Duration,
    /// Whether a cut followed the last step soon.
    relapsed: bool,
}

impl Backoff {
    /// As if the last step was long ago.
    pub(super) fn new(least: Duration) -> Self {
        Self {
            least,
            hold: least,
            since: HOLD_MAX * 2,
            relapsed: false,
        }
    }

    /// Time passes. What happened long ago is forgotten.
    pub(super) fn tick(&mut self, elapsed: Duration) {
        self.since += elapsed;
        if HOLD_MAX * 2 < self.since {
            self.hold = self.least;
        }
    }

    /// Something was taken back.
    pub(super) fn step(&mut self) {
        self.since = Duration::ZERO;
        self.relapsed = false;
    }

    /// Something was cut: soon after a step, that step was too early.
    pub(super) fn cut(&mut self) {
        if self.since < RELAPSE && !self.relapsed {
            self.relapsed = true;
            self.hold = (self.hold * 2).min(HOLD_MAX);
        }
    }
}
