//! How much of a window each signal was watched: sums over the settings that it had.
//!
//! Part of the composition root.

use std::time::Duration;

use super::{families::Family, governor::Thinning};
use crate::model::Signal;

/// What happened to a signal in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Coverage {
    /// Share of time, or of what was drawn, 0 to 1.
    pub(super) duty: f64,
    /// Share of the host's CPU that all signals took together.
    pub(super) overhead: f64,
    /// Share of the time since sampling began that samples stand for: 1 in the mean.
    represented: f64,
}

impl Coverage {
    /// What values are to be multiplied with when nothing comes after them: the pause that runs is
    /// stood for by nothing yet.
    pub(super) fn unrepresented(&self) -> f64 {
        if 0.0 < self.represented {
            1.0 / self.represented
        } else {
            1.0
        }
    }
}

/// What happened to every signal in a window.
#[derive(Clone, Debug, Default)]
pub(super) struct CoverageOfAll {
    overhead: f64,
    /// Duty and represented share, by family.
    families: Vec<(Signal, f64, f64)>,
}

impl CoverageOfAll {
    /// Of one signal; one that nobody governs is watched all the time.
    pub(super) fn of(&self, signal: Signal) -> Coverage {
        let mut families = self.families.iter();
        let found =
            families.find(|(watched, _, _)| *watched == signal || watched.table() == Some(signal));
        let (duty, represented) = found.map_or((1.0, 1.0), |(_, duty, share)| (*duty, *share));
        Coverage {
            duty,
            overhead: self.overhead,
            represented,
        }
    }
}

/// Sums from which the coverage of a window is made.
#[derive(Clone, Debug)]
pub(super) struct CoverageSums {
    /// Until when this is summed up.
    until: Duration,
    seconds: f64,
    /// Seconds of which the overhead was measured, and the sum of it.
    measured_seconds: f64,
    overhead_seconds: f64,
    /// By family.
    duty_seconds: Vec<f64>,
}

impl CoverageSums {
    /// Nothing is summed up yet.
    pub(super) fn start(now: Duration) -> Self {
        Self {
            until: now,
            seconds: 0.0,
            measured_seconds: 0.0,
            overhead_seconds: 0.0,
            duty_seconds: Vec::new(),
        }
    }

    /// Adds the time since this was last done.
    pub(super) fn accrue(&mut self, now: Duration, families: &[Family]) {
        let from = std::mem::replace(&mut self.until, now);
        let seconds = now.saturating_sub(from).as_secs_f64();
        self.seconds += seconds;
        self.duty_seconds.resize(families.len(), 0.0);
        for (sum, family) in self.duty_seconds.iter_mut().zip(families) {
            *sum += match family.plan.thinning {
                Thinning::Slices | Thinning::Begins => {
                    family.ledger.on_time(from, now).as_secs_f64()
                }
                Thinning::Draw => seconds * family.setting.duty(),
            };
        }
    }

    /// Adds an overhead that was measured over a time.
    pub(super) fn measured(&mut self, overhead: f64, elapsed: Duration) {
        let elapsed = elapsed.as_secs_f64();
        self.measured_seconds += elapsed;
        self.overhead_seconds += overhead * elapsed;
    }

    /// The coverage until now, and begins again; `overhead` is for a window without a measurement.
    pub(super) fn take(
        &mut self,
        now: Duration,
        families: &[Family],
        overhead: f64,
    ) -> CoverageOfAll {
        self.accrue(now, families);
        let sums = std::mem::replace(self, Self::start(now));
        let seconds = sums.seconds.max(f64::MIN_POSITIVE);
        let family = |(duty, family): (&f64, &Family)| {
            let slices = family.slices.as_ref();
            let represented = slices.map_or(1.0, |slices| slices.represented_share(now));
            (family.plan.signal, (duty / seconds).min(1.0), represented)
        };
        CoverageOfAll {
            overhead: if 0.0 < sums.measured_seconds {
                sums.overhead_seconds / sums.measured_seconds
            } else {
                overhead
            },
            families: sums.duty_seconds.iter().zip(families).map(family).collect(),
        }
    }
}
