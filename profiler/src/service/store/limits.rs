//! Bounds of the store, each with its reason.

/// Largest program of one regular expression: selectors are typed by people, a guess.
pub(super) const REGEX_SIZE_BYTES_MAX: usize = 256 * 1024;

/// Deepest nesting of one regular expression: a guess far above what people type.
pub(super) const REGEX_NESTING_MAX: u32 = 64;
