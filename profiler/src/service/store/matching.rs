//! Which labels a matcher accepts: Prometheus's rules.
//!
//! A label that is not there has the empty value; a regular expression matches the whole value.

use regex::{Regex, RegexBuilder};

use super::{StoreError, limits};
use crate::model::{Labels, MatchKind, Matcher};

/// Matchers ready for use.
#[derive(Debug)]
pub struct LabelFilter {
    /// All of them must hold.
    matchers: Vec<CompiledMatcher>,
}

/// One matcher ready for use.
#[derive(Debug)]
pub(super) struct CompiledMatcher {
    /// Name of the label.
    name: String,
    /// Accepts or refuses a value.
    test: Test,
}

/// How a value is compared.
#[derive(Debug)]
enum Test {
    /// Is this text.
    Equal(String),
    /// Is another text.
    NotEqual(String),
    /// Matches as a whole.
    Regex(Regex),
    /// Does not match as a whole.
    NotRegex(Regex),
}

impl LabelFilter {
    /// Compiles matchers.
    ///
    /// # Errors
    /// [`StoreError::Regex`]: an expression does not parse or is too large.
    pub fn new(matchers: &[Matcher]) -> Result<Self, StoreError> {
        let matchers = matchers.iter().map(CompiledMatcher::new);
        let matchers = matchers.collect::<Result<_, _>>()?;
        Ok(Self { matchers })
    }

    /// Whether all matchers accept the labels.
    pub fn accepts(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| {
            let value = labels.get(&matcher.name).map_or("", String::as_str);
            matcher.accepts(value)
        })
    }

    /// The matchers, in the order they were given.
    pub(super) fn matchers(&self) -> &[CompiledMatcher] {
        &self.matchers
    }
}

impl CompiledMatcher {
    /// Compiles one matcher.
    fn new(matcher: &Matcher) -> Result<Self, StoreError> {
        let test = match matcher.kind {
            MatchKind::Equal => Test::Equal(matcher.value.clone()),
            MatchKind::NotEqual => Test::NotEqual(matcher.value.clone()),
            MatchKind::Regex => Test::Regex(whole(matcher)?),
            MatchKind::NotRegex => Test::NotRegex(whole(matcher)?),
        };
        let name = matcher.name.clone();
        Ok(Self { name, test })
    }

    /// Name of the label.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether a value is accepted.
    pub(super) fn accepts(&self, value: &str) -> bool {
        match &self.test {
            Test::Equal(text) => value == text,
            Test::NotEqual(text) => value != text,
            Test::Regex(regex) => regex.is_match(value),
            Test::NotRegex(regex) => !regex.is_match(value),
        }
    }
}

/// The expression, bound to both ends of a value.
fn whole(matcher: &Matcher) -> Result<Regex, StoreError> {
    // Parsed alone first: `a)(b` would otherwise be made valid by the group around it.
    let parsed = build(&matcher.value).and_then(|_alone| build(&anchored(&matcher.value)));
    parsed.map_err(|error| StoreError::Regex {
        label: matcher.name.clone(),
        reason: error.to_string(),
    })
}

/// The expression with anchors. A dot matches a newline too, as in Prometheus.
fn anchored(expression: &str) -> String {
    format!("^(?s:{expression})$")
}

/// Compiles within bounds.
fn build(expression: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(expression)
        .size_limit(limits::REGEX_SIZE_BYTES_MAX)
        .dfa_size_limit(limits::REGEX_SIZE_BYTES_MAX)
        .nest_limit(limits::REGEX_NESTING_MAX)
        .build()
}

#[cfg(test)]
mod tests {
    use super::LabelFilter;
    use crate::{
        model::{Labels, MatchKind, Matcher},
        service::store::StoreError,
    };

    fn filter(kind: MatchKind, value: &str) -> Result<LabelFilter, StoreError> {
        LabelFilter::new(&[Matcher {
            name: "comm".to_owned(),
            kind,
            value: value.to_owned(),
        }])
    }

    fn accepts(kind: MatchKind, value: &str, comm: &str) -> bool {
        let labels = Labels::from([("comm".to_owned(), comm.to_owned())]);
        filter(kind, value).unwrap().accepts(&labels)
    }

    #[test]
    fn expressions_match_the_whole_value() {
        assert!(accepts(MatchKind::Regex, "ngi.*", "nginx"));
        assert!(accepts(MatchKind::Regex, "a|nginx", "nginx"));
        assert!(!accepts(MatchKind::Regex, "ngi", "nginx"));
        assert!(!accepts(MatchKind::Regex, "a|ngin", "nginx"));
        assert!(accepts(MatchKind::NotRegex, "ngi", "nginx"));
        assert!(accepts(MatchKind::Equal, "nginx", "nginx"));
        assert!(!accepts(MatchKind::NotEqual, "nginx", "nginx"));
    }

    #[test]
    fn a_label_that_is_not_there_is_empty() {
        let none = Labels::new();
        assert!(filter(MatchKind::Equal, "").unwrap().accepts(&none));
        assert!(filter(MatchKind::NotEqual, "a").unwrap().accepts(&none));
        assert!(filter(MatchKind::Regex, ".*").unwrap().accepts(&none));
        assert!(!filter(MatchKind::Regex, ".+").unwrap().accepts(&none));
        assert!(filter(MatchKind::NotRegex, ".+").unwrap().accepts(&none));
    }

    #[test]
    fn bad_and_huge_expressions_are_refused() {
        for expression in ["(", "a)(b", "(?:x{1000}){1000}"] {
            let answer = filter(MatchKind::Regex, expression);
            assert!(
                matches!(answer, Err(StoreError::Regex { .. })),
                "{expression}"
            );
        }
    }
}
