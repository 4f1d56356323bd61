//! System calls: what is remembered of one in flight, and the rows of the exact table.
//!
//! Written by the probe (`syscall.rs`); rows are read and emptied by the daemon (`host/probe`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Marks a number of the table for 32-bit programs.
pub const CALL_COMPAT: u32 = 1 << 31;
/// The call did what it was asked. Other outcomes are errnos, or one of those below.
pub const OUTCOME_OK: u16 = 0;
/// The largest errno that the kernel returns.
pub const ERRNO_MAX: u16 = 4_095;
/// The call had not ended when it was counted; its time is what it took so far.
pub const OUTCOME_IN_FLIGHT: u16 = u16::MAX;
/// The thread ended inside the call.
pub const OUTCOME_NO_RETURN: u16 = u16::MAX - 1;

/// Stacks of calls are drawn and sent.
pub const SYSCALL_STACKS: u32 = 1;
/// Every call is counted in the table.
pub const SYSCALL_COUNTS: u32 = 1 << 1;

/// Upper bound of the first bucket of durations, nanoseconds; each bucket's is twice that of the
/// one before.
pub const BUCKET_FIRST_NS: u64 = 125;
/// Number of the last bucket.
pub const BUCKET_LAST: u32 = 39;

/// The bucket of a duration.
pub const fn bucket_of(length_ns: u64) -> u32 {
    let mut rest = length_ns / BUCKET_FIRST_NS;
    if rest == 0 {
        return 0;
    }
    // A logarithm in six steps: the probe has no instruction for it.
    let mut bucket = 1;
    let mut step = 32;
    while 0 < step {
        if rest >> step != 0 {
            rest >>= step;
            bucket += step;
        }
        step /= 2;
    }
    if BUCKET_LAST < bucket {
        BUCKET_LAST
    } else {
        bucket
    }
}

/// A system call of a thread.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct CallInFlight {
    /// Monotonic clock, nanoseconds.
    pub entered_at_ns: u64,
    /// From when on its time is not in the table yet; zero while no call is in flight. Taken and
    /// put back in one step by whoever counts the time.
    pub unpaid_from_ns: u64,
    /// Number, with [`CALL_COMPAT`].
    pub call: u32,
    /// Process.
    pub pid: u32,
}

const _: () = assert!(size_of::<CallInFlight>() == 24);

/// A row of the table.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Hash, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct CallKey {
    /// Process.
    pub pid: u32,
    /// Number, with [`CALL_COMPAT`].
    pub call: u32,
    /// [`OUTCOME_OK`], an errno, or another `OUTCOME_*`.
    pub outcome: u16,
    /// [`bucket_of`] the duration; zero for calls without an end.
    pub bucket: u16,
}

const _: () = assert!(size_of::<CallKey>() == 12);

/// What a row counts; one for each CPU.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct CallSums {
    /// Calls that ended.
    pub calls: u64,
    /// Time in them, nanoseconds, as far as it was not counted before.
    pub time_ns: u64,
}

const _: () = assert!(size_of::<CallSums>() == 16);

#[cfg(test)]
mod tests {
    use super::{BUCKET_FIRST_NS, BUCKET_LAST, bucket_of};

    #[test]
    fn a_bucket_begins_at_its_lower_bound() {
        assert_eq!(0, bucket_of(0));
        for bucket in 1..BUCKET_LAST {
            let lower = BUCKET_FIRST_NS << (bucket - 1);
            assert_eq!(bucket - 1, bucket_of(lower - 1));
            assert_eq!(bucket, bucket_of(lower));
        }
        assert_eq!(BUCKET_LAST, bucket_of(u64::MAX));
    }
}
