//! Bounds on what is read.

/// Largest request, unpacked. What OTLP recommends.
pub(super) const MESSAGE_SIZE_BYTES_MAX: usize = 64 << 20;

/// Most entries of all tables together. An entry takes some hundred bytes in memory. Guess: ten
/// times what an agent sends for a busy host.
pub(super) const ENTRIES_MAX: usize = 1 << 20;

/// Deepest stack. Like that of our own wire.
pub(super) const STACK_DEPTH_MAX: usize = 1024;

/// Most labels that one sample brings.
pub(super) const LABELS_MAX: usize = 64;
