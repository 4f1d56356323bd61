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
    read(libc::CLOCK_MONOTONIC)
}

/// CPU time of this program, threads that ended included.
pub fn process_cpu() -> Duration {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// CPU time of the calling thread.
pub fn thread_cpu() -> Duration {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// A clock that every Linux has, and that never shows less than zero.
fn read(clock: libc::clockid_t) -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the call fills the struct it is given; this clock always exists.
    let status = unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    assert!(status == 0, "these clocks exist on every Linux");
    // SAFETY: filled by the call above.
    let time = unsafe { time.assume_init() };
    let seconds = u64::try_from(time.tv_sec).expect("these clocks are not negative");
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
