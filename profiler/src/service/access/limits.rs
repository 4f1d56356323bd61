//! Bounds of what is read and kept.

use std::time::Duration;

/// Largest file of tokens. Guess: ten thousand lines.
pub(super) const TOKENS_FILE_SIZE_BYTES_MAX: u64 = 1 << 20;

/// Longest token that is looked at.
pub(super) const TOKEN_SIZE_BYTES_MAX: usize = 4096;

/// Longest start of a path that is logged.
pub(super) const LOGGED_PATH_CHARS_MAX: usize = 100;

/// At most one line in the log for refusals in this time.
pub(super) const LOG_INTERVAL: Duration = Duration::from_secs(10);
