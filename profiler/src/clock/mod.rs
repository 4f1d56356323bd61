//! The only place where time is read.
//!
//! The kernel stamps records with its monotonic clock; the wall clock is attached once a window.
#![expect(
    unsafe_code,
    reason = "std's Instant cannot be compared with the kernel's nanoseconds"
)]

use std::{
    mem::MaybeUninit,
    thread,
    time::{self, Duration, UNIX_EPOCH},
};

/// Time since boot without suspend: the clock that records are stamped with.
pub fn monotonic() -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the call fills the struct it is given; this clock always exists.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, time.as_mut_ptr()) };
    assert!(status == 0, "CLOCK_MONOTONIC exists on every Linux");
    // SAFETY: filled by the call above.
    let time = unsafe { time.assume_init() };
    let seconds = u64::try_from(time.tv_sec).expect("monotonic time is not negative");
    let nanoseconds = u32::try_from(time.tv_nsec).expect("nanoseconds are below a second");
    Duration::new(seconds, nanoseconds)
}

/// Time since the Unix epoch; zero on a machine whose clock is set before it.
#[expect(
    clippy::disallowed_types,
    reason = "this is the place the lint points to"
)]
pub fn wall() -> Duration {
    time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Waits without doing anything.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the place the lint points to"
)]
pub fn sleep(duration: Duration) {
    thread::sleep(duration);
}
