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
    /// Times that the share of events which are followed is halved: one in 2, 4, 8 …
    pub duty_halvings: u32,
    /// Times that the period of the draw is doubled.
    pub rate_halvings: u32,
}

const _: () = assert!(size_of::<Thinning>() == 16);

/// Most halvings of either kind that the probe follows.
pub const HALVINGS_MAX: u32 = 10;
