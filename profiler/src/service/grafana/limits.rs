//! Bounds on questions.

/// Largest question, unpacked: a selector and some names.
pub(super) const QUESTION_SIZE_BYTES_MAX: usize = 256 << 10;

/// Most selectors in one question; each is looked at by itself. Grafana sends one.
pub(super) const SELECTORS_MAX: usize = 16;
