//! How much of a signal the probe follows: what the governor changes while it runs.
//!
//! Written by the daemon, one element for each [`crate::sample::SignalCode`]; read by the probe.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How much of a signal is followed. All zero: everything.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct Thinning {
    /// When the signal was last switched on, monotonic clock, nanoseconds. What began before is not
    /// known as a whole.
    pub since_ns: u64,
    /// Until when what begins stands for more than itself, monotonic clock, nanoseconds.
    pub until_ns: u64,
    /// What begins before that stands for so many, in parts of [`WEIGHT_ONE`]; zero is one, too.
    pub weight: u32,
    /// Times that the period of the draw is doubled.
    pub rate_halvings: u32,
}

const _: () = assert!(size_of::<Thinning>() == 24);

impl Thinning {
    /// What stands for so many that begin at a moment, in parts of [`WEIGHT_ONE`].
    #[inline]
    pub const fn weight_at(&self, now_ns: u64) -> u32 {
        if self.weight < WEIGHT_ONE || self.until_ns <= now_ns {
            return WEIGHT_ONE;
        }
        if WEIGHT_MAX < self.weight {
            return WEIGHT_MAX;
        }
        self.weight
    }
}

/// The weight of what stands for itself alone.
pub const WEIGHT_ONE: u32 = 1 << WEIGHT_BITS;
/// Bits of a weight behind the point: what rounding takes is less than one part in 500.
pub const WEIGHT_BITS: u32 = 8;
/// Largest weight: a value of a day, weighted so, fits 64 bits.
pub const WEIGHT_MAX: u32 = WEIGHT_ONE << 12;

/// Most times that the probe doubles a period.
pub const HALVINGS_MAX: u32 = 10;
