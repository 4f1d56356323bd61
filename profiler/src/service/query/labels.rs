//! What can be asked for: signals, labels and their values.

use std::collections::{BTreeMap, BTreeSet};

use super::{QueryError, question::is_samples, reader::Reader};
use crate::model::{ProfileType, Selection, TimeRange, ValueType};

/// A signal with what it counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignalTypes {
    /// Its name.
    pub signal: String,
    /// What it counts; the one that is meant when a question does not say comes first.
    pub value_types: Vec<ValueType>,
}

/// Values of one label.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Values {
    /// In order.
    pub values: Vec<String>,
    /// True when there are more.
    pub is_cut: bool,
}

/// Signals that have data, by name.
pub fn signals(reader: &Reader, range: TimeRange) -> Vec<SignalTypes> {
    let mut signals: BTreeMap<String, Vec<ProfileType>> = BTreeMap::new();
    for profile_type in reader.store().profile_types(range) {
        let types = signals.entry(profile_type.signal.clone()).or_default();
        types.push(profile_type);
    }
    let ordered = |(signal, mut types): (String, Vec<ProfileType>)| {
        types.sort_by_key(|profile_type| !is_samples(profile_type));
        let value_types = types.into_iter().map(|profile_type| ValueType {
            kind: profile_type.kind,
            unit: profile_type.unit,
        });
        SignalTypes {
            signal,
            value_types: value_types.collect(),
        }
    };
    signals.into_iter().map(ordered).collect()
}

/// Names of labels in a selection.
///
/// # Errors
/// A matcher that cannot be used.
pub fn names(reader: &Reader, selection: &Selection) -> Result<BTreeSet<String>, QueryError> {
    let series = reader.store().series(selection)?;
    let names = series.into_iter().flat_map(|series| series.labels);
    Ok(names.map(|(name, _value)| name).collect())
}

/// At most `limit` values of one label in a selection.
///
/// # Errors
/// A matcher that cannot be used.
pub fn values(
    reader: &Reader,
    selection: &Selection,
    name: &str,
    limit: usize,
) -> Result<Values, QueryError> {
    let series = reader.store().series(selection)?;
    let mut values: BTreeSet<String> = (series.into_iter())
        .filter_map(|mut series| series.labels.remove(name))
        .collect();
    let is_cut = limit < values.len();
    while limit < values.len() {
        values.pop_last();
    }
    Ok(Values {
        values: values.into_iter().collect(),
        is_cut,
    })
}
