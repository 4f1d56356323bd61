//! Why a rule of the configuration cannot be used.

/// Why a relabelling rule cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RelabelError {
    /// No rule does this.
    #[error(
        "relabelling action `{0}` is not known; there are replace, keep, drop, hashmod, labelmap, labeldrop, labelkeep, lowercase and uppercase"
    )]
    Action(String),
    /// The regular expression does not compile, or to something too large.
    #[error("regular expression `{regex}` of a relabelling rule")]
    Regex {
        /// As written.
        regex: String,
        /// What is wrong with it.
        source: Box<regex::Error>,
    },
    /// The action puts its result somewhere, and nobody said where.
    #[error("relabelling action `{0}` needs a target_label")]
    NoTarget(&'static str),
    /// `hashmod` divides by it.
    #[error("relabelling action `hashmod` needs a modulus above 0")]
    NoModulus,
}
