//! From what was asked to what is read: defaults filled in, bounds checked.

use std::time::Duration;

use super::{QueryError, limits::NAME_SIZE_BYTES_MAX, parse_selector};
use crate::{
    model::{ProfileType, Selection, TimeRange},
    service::store::Store,
};

/// The signal of a question that names none.
const SIGNAL_DEFAULT: &str = "cpu";
/// How far back a question without a start looks.
const RANGE_DEFAULT: Duration = Duration::from_secs(3600);
/// What every periodic signal counts first.
const SAMPLES: &str = "samples";
/// The unit of plain counts.
const COUNT: &str = "count";

/// A selection as it was asked for. Empty texts and zero times stand for the defaults.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Question {
    /// `cpu` when empty.
    pub signal: String,
    /// The signal's first when empty.
    pub kind: String,
    /// In the style of `PromQL`.
    pub selector: String,
    /// Since the Unix epoch; an hour before the end when zero.
    pub start: Duration,
    /// Since the Unix epoch; now when zero.
    pub end: Duration,
}

impl Question {
    /// Fills in what was left out.
    ///
    /// # Errors
    /// A selector that cannot be understood, an empty span of time, a kind that the signal has not.
    pub fn resolve(&self, store: &dyn Store, now: Duration) -> Result<Selection, QueryError> {
        check_name("the name of the signal", &self.signal)?;
        check_name("the kind of value", &self.kind)?;
        let matchers = parse_selector(&self.selector)?;
        let range = range(self.start, self.end, now)?;
        let signal = if self.signal.is_empty() {
            SIGNAL_DEFAULT
        } else {
            &self.signal
        };
        Ok(Selection {
            profile_type: profile_type(store, range, signal, &self.kind)?,
            matchers,
            range,
        })
    }
}

/// The span of time that was asked for.
///
/// # Errors
/// [`QueryError::Time`] when it is empty.
pub fn range(start: Duration, end: Duration, now: Duration) -> Result<TimeRange, QueryError> {
    // The window that began just now belongs to it.
    let end = if end.is_zero() {
        now.saturating_add(Duration::from_nanos(1))
    } else {
        end
    };
    let start = if start.is_zero() {
        end.saturating_sub(RANGE_DEFAULT)
    } else {
        start
    };
    if start < end {
        Ok(TimeRange { start, end })
    } else {
        Err(QueryError::Time {
            start_ns: start.as_nanos(),
            end_ns: end.as_nanos(),
        })
    }
}

/// Checks the length of a name that was asked for.
///
/// # Errors
/// [`QueryError::TooLarge`].
pub(super) fn check_name(what: &'static str, name: &str) -> Result<(), QueryError> {
    at_most(what, name.len() as u128, NAME_SIZE_BYTES_MAX as u128)
}

/// Checks a number that was asked for.
///
/// # Errors
/// [`QueryError::TooLarge`].
pub(super) fn at_most(what: &'static str, found: u128, most: u128) -> Result<(), QueryError> {
    if found <= most {
        Ok(())
    } else {
        Err(QueryError::TooLarge { what, found, most })
    }
}

/// The types of a signal that have data, its first one first: samples before what is derived.
pub(super) fn types_of(store: &dyn Store, range: TimeRange, signal: &str) -> Vec<ProfileType> {
    let mut types = store.profile_types(range);
    types.retain(|profile_type| profile_type.signal == signal);
    types.sort_by_key(|profile_type| !is_samples(profile_type));
    types
}

/// Whether a type counts samples.
pub(super) fn is_samples(profile_type: &ProfileType) -> bool {
    profile_type.kind == SAMPLES && profile_type.unit == COUNT
}

/// The type that a signal and a kind stand for. A signal without data has any kind: its answers are
/// empty, which is no error.
fn profile_type(
    store: &dyn Store,
    range: TimeRange,
    signal: &str,
    kind: &str,
) -> Result<ProfileType, QueryError> {
    let types = types_of(store, range, signal);
    let found = (types.iter()).find(|known| kind.is_empty() || known.kind == kind);
    match found {
        Some(found) => Ok(found.clone()),
        None if types.is_empty() => Ok(ProfileType {
            signal: signal.to_owned(),
            kind: if kind.is_empty() { SAMPLES } else { kind }.to_owned(),
            unit: COUNT.to_owned(),
        }),
        None => Err(QueryError::Kind {
            signal: signal.to_owned(),
            kind: kind.to_owned(),
            known: types.into_iter().map(|known| known.kind).collect(),
        }),
    }
}
