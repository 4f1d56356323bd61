//! What a sample is about besides code: parts of the key of an exact table, and the system call at
//! the inner end of a stack.
//!
//! They become frames, so that every query works on tables as it does on stacks.

use std::{fmt, str::FromStr};

use super::{FarEnd, Side, TcpMeasure};

/// One level of a table, or the innermost level of a stack.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Subject {
    /// A row of a table: this system call.
    Call(Syscall),
    /// The system call that a stack waited in.
    InCall(Syscall),
    /// How the calls of a row ended.
    Outcome(Outcome),
    /// How long each event of a row took.
    Took(DurationBucket),
    /// The far end of a connection.
    FarEnd(FarEnd),
    /// Which side of the connection it is seen from.
    Side(Side),
    /// What was measured of the connection.
    Measure(TcpMeasure),
}

/// A system call by its number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Syscall {
    /// The number, without the mark of the table it is from.
    pub number: u32,
    /// Whether the number is one of the 32-bit table of a 64-bit kernel.
    pub is_compat: bool,
}

/// How a system call ended.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Outcome {
    /// It did what it was asked.
    Ok,
    /// It failed with this errno.
    Failed(u16),
    /// It had not ended when the window was over: the time is what it took so far.
    InFlight,
    /// It never returns: the thread ended in it.
    NoReturn,
}

/// Which power of two a duration is above: the upper bound is twice the lower one.
///
/// Number 0 is everything below 125 ns; number n reaches from 125 ns × 2ⁿ⁻¹ to twice that, so
/// bounds from 1 µs on are whole microseconds. Text: `8 µs .. 16 µs`, with bounds that are exact.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DurationBucket(u8);

/// Upper bound of the first bucket, nanoseconds.
const FIRST_NS: u64 = 125;

impl DurationBucket {
    /// Number of the last bucket, whose upper bound is 19 hours.
    pub const LAST: u8 = 39;

    /// A bucket by its number; past the last one, the last one.
    pub fn new(number: u8) -> Self {
        Self(number.min(Self::LAST))
    }

    /// Lower and upper bound, nanoseconds; the lower one is in it, the upper one not.
    pub fn bounds_ns(self) -> (u64, u64) {
        let upper = FIRST_NS << self.0;
        (if self.0 == 0 { 0 } else { upper / 2 }, upper)
    }
}

/// Writes a number of nanoseconds exactly, in the largest unit that it is at least one of.
fn write_exact(ns: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (unit, name) = match ns {
        0..1_000 => return write!(f, "{ns} ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let (whole, rest) = (ns / unit, ns % unit);
    if rest == 0 {
        return write!(f, "{whole} {name}");
    }
    let digits = usize::try_from(unit.ilog10()).unwrap_or_default();
    let rest = format!("{rest:0digits$}");
    write!(f, "{whole}.{} {name}", rest.trim_end_matches('0'))
}

impl fmt::Display for DurationBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lower, upper) = self.bounds_ns();
        write_exact(lower, f)?;
        f.write_str(" .. ")?;
        write_exact(upper, f)
    }
}

/// Text that is no duration bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a span of durations such as `8 µs .. 16 µs`")]
pub struct BucketError;

impl FromStr for DurationBucket {
    type Err = BucketError;

    fn from_str(text: &str) -> Result<Self, BucketError> {
        (0..=Self::LAST)
            .map(Self)
            .find(|bucket| bucket.to_string() == text)
            .ok_or(BucketError)
    }
}

#[cfg(test)]
mod tests {
    use super::{BucketError, DurationBucket};

    #[test]
    fn buckets_are_written_with_exact_bounds_and_read_again() {
        let text = |number| DurationBucket::new(number).to_string();
        assert_eq!("0 ns .. 125 ns", text(0));
        assert_eq!("500 ns .. 1 µs", text(3));
        assert_eq!("8 µs .. 16 µs", text(7));
        assert_eq!("512 µs .. 1.024 ms", text(13));
        assert_eq!("1.048576 s .. 2.097152 s", text(24));
        for number in 0..=DurationBucket::LAST {
            let bucket = DurationBucket::new(number);
            assert_eq!(Ok(bucket), bucket.to_string().parse());
        }
        assert_eq!(Err(BucketError), "8 µs".parse::<DurationBucket>());
    }

    #[test]
    fn each_bucket_begins_where_the_one_before_ends() {
        for number in 1..=DurationBucket::LAST {
            let before = DurationBucket::new(number - 1).bounds_ns();
            assert_eq!(before.1, DurationBucket::new(number).bounds_ns().0);
        }
        assert_eq!(DurationBucket::new(200), DurationBucket::new(39));
    }
}
