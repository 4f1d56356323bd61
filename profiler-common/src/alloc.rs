//! Allocations: which are sampled, and what tells a live one apart.
//!
//! Bytes are sampled, not calls: every allocated byte is a draw with a probability of one over the
//! period. The distance to the next drawn byte is exponential and has no memory, so one countdown for
//! each CPU serves all threads that run there, and whatever is left out afterwards (calls of
//! allocators among each other, processes that are not selected) leaves the rest as it was.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{codes, limits::ALLOCATOR_RANGES_MAX};

codes! {
    /// What a function of an allocator does, by where it takes its arguments.
    AllocatorCall: u8 {
        /// Allocates; the first argument is the size.
        Allocate = 1,
        /// Allocates; the first two arguments are the number and the size of elements.
        AllocateArray = 2,
        /// Allocates; the second argument is the size, the first one its alignment.
        AllocateAligned = 3,
        /// Allocates; the third argument is the size, the first one where the address is put.
        AllocateInto = 4,
        /// Frees its first argument, and allocates as many bytes as the second one says.
        Reallocate = 5,
        /// Frees its first argument, and allocates as many elements as the second one says, of the
        /// size that the third one says.
        ReallocateArray = 6,
        /// Frees its first argument.
        Free = 7,
        /// Like [`Self::Reallocate`], but leaves null pointers to a function that only allocates.
        ReallocateOrHandOn = 8,
    }
}

/// A live allocation that was sampled.
///
/// Written and removed by the probe; removed by the daemon when its process is gone.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, Immutable, IntoBytes, KnownLayout,
)]
#[repr(C)]
pub struct LiveKey {
    /// Where it is, in its process.
    pub address: u64,
    /// The process.
    pub pid: u32,
    /// Always zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<LiveKey>() == 16);

/// An allocation that was drawn and has not returned yet. Written and read by the probe.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct PendingAllocation {
    /// Bytes asked for.
    pub size_bytes: u64,
    /// Where the function puts the address; zero when it returns it.
    pub result_at: u64,
    /// Cookie of the function: where every return is probed, that of another one may come first.
    pub cookie: u64,
}

/// Where the functions of one allocator lie, so that calls among them are known.
///
/// Written by the daemon, read by the probe.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct AllocatorRanges {
    /// First byte and one past the last, as offsets in the file; the rest is empty.
    pub ranges: [[u64; 2]; ALLOCATOR_RANGES_MAX as usize],
}

/// Bits of a cookie below the slot of the allocator, and below the offset; lowest is the call.
const COOKIE_SLOT_SHIFT: u32 = 8;
const COOKIE_OFFSET_SHIFT: u32 = 24;

/// What a probe carries: what the function does, the slot of its [`AllocatorRanges`], and the offset
/// in the file of the instruction that is probed.
pub const fn encode_cookie(call: AllocatorCall, slot: u16, offset: u64) -> u64 {
    (offset << COOKIE_OFFSET_SHIFT) | ((slot as u64) << COOKIE_SLOT_SHIFT) | call as u64
}

/// Code of the [`AllocatorCall`] of a cookie.
pub const fn cookie_call(cookie: u64) -> u8 {
    cookie.to_le_bytes()[0]
}

/// Slot of the allocator of a cookie.
pub const fn cookie_slot(cookie: u64) -> u16 {
    let [_call, low, high, ..] = cookie.to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// Offset in the file of a cookie.
pub const fn cookie_offset(cookie: u64) -> u64 {
    cookie >> COOKIE_OFFSET_SHIFT
}

/// Bits behind the point of a logarithm.
const LOG_FRACTION_BITS: u32 = 16;
/// Natural logarithm of two, with as many bits behind the point.
const LN_2: u64 = 45_426;

/// Binary logarithm of a number from 1 to 2^32, with [`LOG_FRACTION_BITS`] bits behind the point.
///
/// Each squaring of the mantissa gives one bit. Without a branch, so that the verifier has one path.
const fn log2(number: u64) -> u64 {
    let whole = number.ilog2();
    let mut mantissa = (number << (63 - whole)) >> 32;
    let mut log = whole as u64;
    let mut bit = 0;
    while bit < LOG_FRACTION_BITS {
        // From 2^62 to 2^64, so the result is from 2^31 to 2^33.
        let square = (mantissa * mantissa) >> 31;
        let carry = square >> 32;
        log = (log << 1) | carry;
        mantissa = square >> carry;
        bit += 1;
    }
    log
}

/// Bytes until the next one that is drawn: exponential, with a mean of `period_bytes`.
///
/// In: a random 32-bit number, and a period of at most [`crate::limits::ALLOC_PERIOD_BYTES_MAX`].
/// Out: at least one. The mean is right to 2^-16, and no distance is above 22 periods.
pub const fn distance_bytes(random: u32, period_bytes: u64) -> u64 {
    let log = log2(random as u64 + 1);
    let exponent = (((32 << LOG_FRACTION_BITS) - log) * LN_2) >> LOG_FRACTION_BITS;
    ((period_bytes * exponent) >> LOG_FRACTION_BITS) + 1
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::{
        AllocatorCall, cookie_call, cookie_offset, cookie_slot, distance_bytes, encode_cookie, log2,
    };

    #[test]
    fn a_cookie_holds_all_three() {
        let cookie = encode_cookie(AllocatorCall::Free, 1_023, 0x12_3456_789a);
        assert_eq!(AllocatorCall::Free as u8, cookie_call(cookie));
        assert_eq!(1_023, cookie_slot(cookie));
        assert_eq!(0x12_3456_789a, cookie_offset(cookie));
    }

    #[test]
    fn every_call_has_a_code_that_leads_back() {
        for code in 0..=u8::MAX {
            if let Ok(call) = AllocatorCall::try_from(code) {
                assert_eq!(code, call as u8);
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "below 2^32")]
    #[test]
    fn the_logarithm_is_right_to_its_last_bits() {
        for number in [
            1,
            2,
            3,
            5,
            1_000,
            65_537,
            (1 << 31) - 1,
            u32::MAX.into(),
            1 << 32,
        ] {
            let truth = (number as f64).log2();
            let found = log2(number) as f64 / 65_536.0;
            assert!(
                (truth - found).abs() < 2e-4,
                "{number}: {found} not {truth}"
            );
        }
    }

    /// A million draws: mean and variance of an exponential distribution.
    #[expect(clippy::cast_precision_loss, reason = "below 2^52")]
    #[test]
    fn distances_are_exponential() {
        const DRAWS: u32 = 1_000_000;
        const PERIOD: u64 = 512 << 10;
        let (mut sum, mut squares) = (0.0, 0.0);
        for draw in 0..DRAWS {
            // Evenly spread, so that only the formula is tested: a random source would add its own error.
            let random = u32::try_from(u64::from(draw) * u64::from(u32::MAX) / u64::from(DRAWS));
            let random = random.unwrap_or(u32::MAX);
            let distance = distance_bytes(random, PERIOD) as f64 / PERIOD as f64;
            sum += distance;
            squares += distance * distance;
        }
        let mean = sum / f64::from(DRAWS);
        let variance = squares / f64::from(DRAWS) - mean * mean;
        assert!((mean - 1.0).abs() < 1e-3, "{mean}");
        assert!((variance - 1.0).abs() < 5e-3, "{variance}");
    }

    #[test]
    fn a_distance_is_at_least_one_byte() {
        assert_eq!(1, distance_bytes(u32::MAX, 512 << 10));
        assert!(distance_bytes(0, 512 << 10) < 23 * (512 << 10));
    }
}
