//! Bounds on findings, comparisons and budgets.

/// Most findings of one answer. Guess: more than anyone reads.
pub const FINDINGS_MAX: usize = 200;
/// Findings when the question does not say.
pub const FINDINGS_DEFAULT: usize = 20;
/// Most findings of one kind in one service: the heaviest say enough.
pub const FINDINGS_PER_KIND_MAX: usize = 3;
/// Most levels of the path of a finding; the outermost go first.
pub const PATH_LEVELS_MAX: usize = 32;
/// Most functions in one answer to a comparison.
pub const CHANGES_MAX: usize = 1_000;
/// Functions in an answer to a comparison when the question does not say.
pub const CHANGES_DEFAULT: usize = 50;
/// Fewest samples of a function, both sides together, for the normal distribution to describe it.
pub const CHANGE_SAMPLES_MIN: f64 = 20.0;
/// Most limits in a budget. Guess: a hundred times the usual number.
pub const LIMITS_MAX: usize = 1_000;
/// Largest budget, in bytes.
pub const BUDGET_SIZE_BYTES_MAX: usize = 128 * 1024;
/// Most receivers of alerts.
pub const RECEIVERS_MAX: usize = 16;
