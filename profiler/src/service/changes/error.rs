//! Why comparisons cannot be kept.

use std::path::PathBuf;

/// Why comparisons cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}", .path.display())]
pub struct ChangesError {
    /// The file of comparisons.
    pub path: PathBuf,
    /// What is wrong.
    pub source: rusqlite::Error,
}
