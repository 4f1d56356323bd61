//! Bounds of this stage.

use std::time::Duration;

/// Live sampled allocations that are remembered: twice what the probe remembers, for those of
/// processes that have just ended.
pub(super) const LIVE_MAX: usize = 131_072;
/// Stacks whose memory is followed over time. A guess: distinct allocation sites of a busy host.
pub(super) const SITES_MAX: usize = 32_768;
/// Time between two looks at what lives.
pub(super) const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Looks after which a growth can be told from an accident. A guess.
pub(super) const SUSPECT_LOOKS_MIN: u32 = 8;
/// Live samples below which a stack is no suspect: the error of eight samples is a third.
pub(super) const SUSPECT_SAMPLES_MIN: u64 = 8;
/// Share of the variance of live bytes over time that a steady growth explains, from which on a
/// stack is a suspect. Churn has next to none, a leak nearly all. A guess in between.
pub(super) const SUSPECT_STEADINESS_MIN: f64 = 0.8;
