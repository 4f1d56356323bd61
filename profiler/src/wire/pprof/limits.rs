//! Bounds on what is read.

/// Largest message after decompression. Its decoded form is at most some ten times larger.
/// Guess: an hour of a busy host has 30 MiB.
pub(super) const MESSAGE_SIZE_BYTES_MAX: usize = 128 << 20;

/// Most entries of one table (samples, locations, strings …). An empty entry takes two bytes in the
/// file and a hundred in memory. Guess: a hundred times the largest profile met so far.
pub(super) const ENTRIES_MAX: usize = 4 << 20;

/// Deepest stack. Guess, like that of the other readers: 16 times the deepest that the probe takes.
pub(super) const STACK_DEPTH_MAX: usize = 16 * 1024;

/// Most value types. A Go heap profile has 4.
pub(super) const VALUE_TYPES_MAX: usize = 64;
