//! Why rules or a budget cannot be used.

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Not TOML, a rule or key that there is not, or a value of the wrong kind.
    #[error("the rules cannot be used")]
    Parse(#[source] Box<toml::de::Error>),
    /// Thresholds that are not in order.
    #[error("rule `{rule}`: info, warning and critical must be positive and in this order")]
    Order {
        /// Which rule.
        rule: &'static str,
    },
}

/// Why a budget cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// Not TOML, a key that there is not, or a value of the wrong kind.
    #[error("the budget cannot be used")]
    Parse(#[source] Box<toml::de::Error>),
    /// More than anyone needs.
    #[error("the budget has {found} {what}, at most {most}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// The bound.
        most: usize,
    },
    /// Two limits of one name.
    #[error("two limits are called `{name}`")]
    Twice {
        /// The name.
        name: String,
    },
    /// An amount that cannot be read.
    #[error(
        "`{text}` is no amount: expected a number with %, ns, us, ms, s, B, KiB, MiB, GiB, and /s for a rate"
    )]
    Amount {
        /// What was written.
        text: String,
    },
    /// A limit that does not fit together.
    #[error("limit `{name}`: {why}")]
    Limit {
        /// Its name.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A receiver that cannot be reached.
    #[error("receiver `{name}`: {why}")]
    Receiver {
        /// Its name.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
}
