//! Bounds of this stage.

/// Distinct stacks of one window. A busy host shows about 10,000 a minute; a stack takes about
/// 500 bytes, so this is 128 MiB at the very worst.
pub(super) const STACKS_MAX: usize = 1 << 18;
/// The same where memory is short: an eighth.
pub(super) const STACKS_CRAMPED_MAX: usize = STACKS_MAX / 8;
