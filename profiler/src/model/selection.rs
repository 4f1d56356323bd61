//! Which data a question is about.

use std::time::Duration;

use super::ProfileType;

/// How a label is compared.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MatchKind {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`: the whole value matches a regular expression.
    Regex,
    /// `!~`
    NotRegex,
}

/// One condition on a label. A label that is not there has the empty value.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Matcher {
    /// Name of the label.
    pub name: String,
    /// How it is compared.
    pub kind: MatchKind,
    /// With what.
    pub value: String,
}

/// A span of wall time since the Unix epoch: from `start` until just before `end`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct TimeRange {
    /// First moment.
    pub start: Duration,
    /// First moment after.
    pub end: Duration,
}

/// Windows of one type of value, in a span of time, whose labels match.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Selection {
    /// What is counted.
    pub profile_type: ProfileType,
    /// All of them must hold; none selects everything.
    pub matchers: Vec<Matcher>,
    /// By the start of the window.
    pub range: TimeRange,
}
