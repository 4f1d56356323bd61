//! What a sample of each moment stands for.

use std::{collections::VecDeque, time::Duration};

use super::limits::LEDGER_ENTRIES_MAX;

/// From when on a sample stands for how many; nothing is sampled where the weight is absent.
type Entry = (Duration, Option<f64>);

/// The weights of a family over time, by the monotonic clock.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: VecDeque<Entry>,
}

impl Ledger {
    /// From a moment on a sample stands for so many, or none is taken; the moment may be to come.
    pub fn note(&mut self, now: Duration, weight: Option<f64>) {
        // What was foretold for later does not come.
        while self.entries.back().is_some_and(|(start, _)| now < *start) {
            self.entries.pop_back();
        }
        if self.entries.back().is_some_and(|(_, last)| *last == weight) {
            return;
        }
        if LEDGER_ENTRIES_MAX <= self.entries.len() {
            self.entries.pop_front();
        }
        self.entries.push_back((now, weight));
    }

    /// What a sample of a moment stands for. One that was taken while its family was being switched
    /// off still counts as what came before.
    pub fn weight_at(&self, moment: Duration) -> f64 {
        let later = self.entries.partition_point(|(start, _)| *start <= moment);
        let until_then = self.entries.range(..later);
        let weight = until_then.rev().find_map(|(_start, weight)| *weight);
        weight.unwrap_or(1.0)
    }

    /// How long of a span the family was on. Before the first entry it was off.
    pub fn on_time(&self, from: Duration, to: Duration) -> Duration {
        let ends = self.entries.iter().skip(1).map(|(start, _)| *start);
        let ends = ends.chain([Duration::MAX]);
        let spans = self.entries.iter().zip(ends);
        spans
            .filter(|((_start, weight), _end)| weight.is_some())
            .map(|((start, _weight), end)| end.min(to).saturating_sub((*start).max(from)))
            .sum()
    }
}
