//! Bounds on what is read.

/// Most parts of one push: series, labels and profiles together. Guess: a hundred times the usual.
pub(super) const PARTS_MAX: usize = 10_000;

/// Most labels in a name. More than any client has.
pub(super) const LABELS_MAX: usize = 64;
