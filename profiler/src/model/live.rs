//! Memory that lives at one moment, beside the profile that says where it was allocated.

use std::time::Duration;

use super::{Pid, StackIndex};

/// Live memory of one stack of one process. Bytes and objects are weighted: they stand for those
/// that were not sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LiveStack {
    /// Whose it is.
    pub pid: Pid,
    /// The stack, in the profile of allocations.
    pub stack: StackIndex,
    /// Live bytes.
    pub bytes: u64,
    /// Live objects.
    pub objects: u64,
    /// Samples behind them.
    pub samples: u64,
    /// Age of the oldest one.
    pub age_max: Duration,
    /// Mean age.
    pub age_mean: Duration,
    /// How much more it gets, bytes an hour; negative when it shrinks.
    pub growth_bytes_per_hour: f64,
    /// It keeps growing: a leak, or a cache that is not full yet.
    pub is_suspect: bool,
}

impl LiveStack {
    /// Adds what another thread of the process holds at the same stack.
    pub fn add(&mut self, other: &Self) {
        let samples = (self.samples + other.samples).max(1);
        #[expect(clippy::cast_precision_loss, reason = "a share of far fewer than 2^52")]
        let share = other.samples as f64 / samples as f64;
        let mean =
            self.age_mean.as_secs_f64() * (1.0 - share) + other.age_mean.as_secs_f64() * share;
        self.age_mean = Duration::try_from_secs_f64(mean).unwrap_or(self.age_mean);
        self.age_max = self.age_max.max(other.age_max);
        self.bytes += other.bytes;
        self.objects += other.objects;
        self.samples += other.samples;
        self.growth_bytes_per_hour += other.growth_bytes_per_hour;
        self.is_suspect |= other.is_suspect;
    }
}
