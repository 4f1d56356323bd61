//! What lives at one moment, by stack.

use std::time::Duration;

use super::{
    limits::{SUSPECT_LOOKS_MIN, SUSPECT_SAMPLES_MIN, SUSPECT_STEADINESS_MIN},
    live::LiveTable,
};
use crate::model::StackSample;

/// Live memory of one stack of one thread.
#[derive(Clone, Debug)]
pub struct HeapStack {
    /// A sample of the stack, without values.
    pub stack: StackSample,
    /// Live bytes, weighted.
    pub bytes: u64,
    /// Live objects, weighted.
    pub objects: u64,
    /// Samples behind them.
    pub samples: u64,
    /// Age of the oldest one.
    pub age_max: Duration,
    /// Mean age of the samples.
    pub age_mean: Duration,
    /// How much more it gets, bytes an hour; negative when it shrinks.
    pub growth_bytes_per_hour: f64,
    /// It keeps growing: a leak, or a cache that is not full yet.
    pub is_suspect: bool,
}

/// Live memory by stack, most bytes first.
#[derive(Clone, Debug, Default)]
pub struct HeapReport {
    /// The stacks.
    pub stacks: Vec<HeapStack>,
}

impl LiveTable {
    /// What lives now.
    pub fn report(&self, now: Duration) -> HeapReport {
        let oldest = self.oldest();
        let looks = self.looks();
        let mut stacks: Vec<HeapStack> = self
            .standings()
            .map(|(site, standing)| {
                let growth = standing.growth(looks);
                let since = oldest.get(site).copied().unwrap_or(now);
                HeapStack {
                    stack: site.sample(now, [0; 4]),
                    bytes: standing.live.bytes,
                    objects: standing.live.objects,
                    samples: standing.samples,
                    age_max: now.saturating_sub(since),
                    age_mean: now.saturating_sub(standing.mean_since()),
                    growth_bytes_per_hour: growth.bytes_per_hour,
                    is_suspect: SUSPECT_LOOKS_MIN <= looks.count
                        && SUSPECT_SAMPLES_MIN <= standing.samples
                        && SUSPECT_STEADINESS_MIN <= growth.steadiness
                        && 0.0 < growth.bytes_per_hour,
                }
            })
            .collect();
        stacks.sort_by_key(|stack| std::cmp::Reverse(stack.bytes));
        HeapReport { stacks }
    }
}
