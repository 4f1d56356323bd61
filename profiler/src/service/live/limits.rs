//! Bounds on what waits.

/// Windows that wait for the slowest watcher; older ones are counted as missed. Guess: two windows
/// of 1,000 hosts.
pub(super) const WINDOWS_WAITING_MAX: usize = 2048;

/// Orders that wait for one daemon. Guess.
pub(super) const ORDERS_WAITING_MAX: usize = 8;
