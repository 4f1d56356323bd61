//! Questions in our words.

use std::time::Duration;

use super::limits::SELECTORS_MAX;
use crate::{
    clock,
    model::{Labels, MatchKind, Matcher, ProfileType, Selection, TimeRange, label},
    service::{
        query::{QueryError, Question, parse_selector, range},
        store::Store,
    },
};

/// What Grafana calls the label `service`.
const SERVICE_NAME: &str = "service_name";
/// What Grafana calls the kind of profile, as a label.
const PROFILE_TYPE: &str = "__profile_type__";

/// The name of a kind of profile.
pub(super) fn type_id(profile_type: &ProfileType) -> String {
    let ProfileType { signal, kind, unit } = profile_type;
    format!("{signal}:{kind}:{unit}:{signal}:{}", period_unit(unit))
}

/// The unit of what makes a sample due: counts are due by time.
pub(super) fn period_unit(unit: &str) -> &str {
    if unit == "count" { "nanoseconds" } else { unit }
}

/// A span of time in milliseconds.
///
/// # Errors
/// It is empty.
pub(super) fn span(start_ms: i64, end_ms: i64) -> Result<TimeRange, QueryError> {
    range(milliseconds(start_ms), milliseconds(end_ms), clock::wall())
}

/// What one kind of profile and a selector select.
///
/// # Errors
/// As [`Question::resolve`].
pub(super) fn selection(
    store: &dyn Store,
    id: &str,
    selector: &str,
    (start_ms, end_ms): (i64, i64),
) -> Result<Selection, QueryError> {
    if id.is_empty() {
        return Err(QueryError::Missing {
            what: "the kind of profile",
        });
    }
    let mut parts = id.split(':').map(str::to_owned);
    let question = Question {
        signal: parts.next().unwrap_or_default(),
        kind: parts.next().unwrap_or_default(),
        selector: String::new(),
        start: milliseconds(start_ms),
        end: milliseconds(end_ms),
    };
    let mut selection = question.resolve(store, clock::wall())?;
    selection.matchers = matchers(selector)?.on_labels;
    Ok(selection)
}

/// What some selectors select, of every kind of profile that they do not rule out.
///
/// # Errors
/// Too many selectors, or one that cannot be understood.
pub(super) fn selections(
    store: &dyn Store,
    selectors: &[String],
    (start_ms, end_ms): (i64, i64),
) -> Result<Vec<Selection>, QueryError> {
    if SELECTORS_MAX < selectors.len() {
        return Err(QueryError::TooLarge {
            what: "the number of selectors",
            found: selectors.len() as u128,
            most: SELECTORS_MAX as u128,
        });
    }
    let range = span(start_ms, end_ms)?;
    let everything = [String::new()];
    let selectors = if selectors.is_empty() {
        &everything[..]
    } else {
        selectors
    };
    let types = store.profile_types(range);
    let mut selections = Vec::new();
    for selector in selectors {
        let matchers = matchers(selector)?;
        let wanted = types.iter().filter(|known| matchers.takes(known));
        selections.extend(wanted.map(|profile_type| Selection {
            profile_type: profile_type.clone(),
            matchers: matchers.on_labels.clone(),
            range,
        }));
    }
    Ok(selections)
}

/// Conditions of a selector.
struct Matchers {
    on_labels: Vec<Matcher>,
    /// Names of the only kind of profile that is wanted; several contradict each other.
    types: Vec<String>,
}

impl Matchers {
    /// Whether a kind of profile is wanted.
    fn takes(&self, profile_type: &ProfileType) -> bool {
        let id = type_id(profile_type);
        self.types.iter().all(|wanted| *wanted == id)
    }
}

/// A selector, with labels under our names.
fn matchers(selector: &str) -> Result<Matchers, QueryError> {
    let mut matchers = Matchers {
        on_labels: Vec::new(),
        types: Vec::new(),
    };
    for mut matcher in parse_selector(selector)? {
        if matcher.name == PROFILE_TYPE && matcher.kind == MatchKind::Equal {
            matchers.types.push(matcher.value);
        } else {
            let name = our_label(&matcher.name).to_owned();
            matcher.name = name;
            matchers.on_labels.push(matcher);
        }
    }
    Ok(matchers)
}

/// A label's name as we have it.
pub(super) fn our_label(name: &str) -> &str {
    if name == SERVICE_NAME {
        label::SERVICE
    } else {
        name
    }
}

/// Labels of a series with what Grafana looks for besides.
pub(super) fn with_their_labels(mut labels: Labels, profile_type: &ProfileType) -> Labels {
    if let Some(service) = labels.get(label::SERVICE).cloned() {
        labels.insert(SERVICE_NAME.to_owned(), service);
    }
    labels.insert(PROFILE_TYPE.to_owned(), type_id(profile_type));
    labels
}

/// A time; one before the epoch is none.
fn milliseconds(time: i64) -> Duration {
    Duration::from_millis(u64::try_from(time).unwrap_or_default())
}
