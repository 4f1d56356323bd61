//! The draw: which events are sent, and what those that are stand for.
//!
//! An event of length d is sent with probability p = min(1, d / T), and stands for d / p nanoseconds
//! and 1 / p events. The mean of both is the truth, and long events have no error at all.

use aya_ebpf::helpers::generated::bpf_get_prandom_u32;
use profiler_common::{
    limits::DRAW_PERIOD_NS_MAX,
    sample::SignalCode,
    thinning::{HALVINGS_MAX, Thinning, WEIGHT_BITS, WEIGHT_ONE},
};

use crate::maps::THINNING;

/// Wide enough for the halvings there are; tells the verifier that a shift is in bounds.
pub(crate) const HALVINGS_MASK: u32 = 15;
const _: () = assert!(HALVINGS_MAX <= HALVINGS_MASK);

/// How much of a signal is followed now.
#[inline(always)]
pub(crate) fn thinning(signal: SignalCode) -> Thinning {
    let Some(thinning) = THINNING.get_ptr(signal as u32) else {
        return Thinning {
            since_ns: 0,
            until_ns: 0,
            weight: 0,
            rate_halvings: 0,
        };
    };
    // SAFETY: a live map element; the daemon may write one of its words between two reads, which are
    // then from before and after, and both true.
    unsafe { *thinning }
}

/// The period of a draw, as the governor wants it.
#[inline(always)]
pub(crate) fn period_ns(configured_ns: u64, thinning: &Thinning) -> u64 {
    let period_ns = configured_ns << (thinning.rate_halvings & HALVINGS_MASK);
    if period_ns < DRAW_PERIOD_NS_MAX {
        period_ns
    } else {
        DRAW_PERIOD_NS_MAX
    }
}

/// What an event that was drawn stands for.
pub(crate) struct Weighted {
    /// Nanoseconds.
    pub(crate) time_ns: u64,
    /// Events.
    pub(crate) events: u64,
}

/// Whether an event of this length is sent. The period is below 2^32.
#[inline(always)]
pub(crate) fn is_drawn(length_ns: u64, period_ns: u64) -> bool {
    period_ns <= length_ns || (period_ns * random()) >> 32 < length_ns
}

/// The weight of an event that was drawn.
#[inline(always)]
pub(crate) fn weigh(length_ns: u64, period_ns: u64) -> Weighted {
    if period_ns <= length_ns || length_ns == 0 {
        return Weighted {
            time_ns: length_ns,
            events: 1,
        };
    }
    Weighted {
        time_ns: period_ns,
        // The number of events is no integer: one of its two neighbours is drawn, so that the mean
        // is right. With u below the length, (period + u) / length does that.
        events: (period_ns + random() % length_ns) / length_ns,
    }
}

/// A value of an event that stands for so many: one of the two neighbours of the product is drawn,
/// so that the mean is right.
#[inline(always)]
pub(crate) fn times(value: u64, weight: u32) -> u64 {
    let fraction = random() & u64::from(WEIGHT_ONE - 1);
    (value * u64::from(weight) + fraction) >> WEIGHT_BITS
}

/// A number below 2^32.
#[inline(always)]
pub(crate) fn random() -> u64 {
    // SAFETY: a helper without arguments.
    u64::from(unsafe { bpf_get_prandom_u32() } as u32)
}
