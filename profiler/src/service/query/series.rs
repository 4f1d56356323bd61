//! How a total goes over time, and how it divides among the values of a label.

use std::{sync::Arc, time::Duration};

use super::{
    QueryError,
    limits::{
        GROUP_LABELS_MAX, LINES_MAX, SPLIT_PARTS_MAX, SPLIT_ROWS_MAX, STEPS_DEFAULT, STEPS_MAX,
    },
    question::{at_most, check_name},
    reader::Reader,
    stacks::beside_hosts,
};
use crate::{
    model::{MatchKind, Matcher, ProfileType, Quality, Selection, TimeRange},
    service::store::{GroupTotals, MergedStacks, QueryLimits},
};

/// Steps that are easy to read, in seconds.
const STEPS_SECONDS: [u64; 12] = [
    10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400,
];

/// The last of them.
const DAY: Duration = Duration::from_secs(86_400);

/// How the total of a selection goes over time.
#[derive(Clone, Debug)]
pub struct Trend {
    /// What is counted.
    pub profile_type: ProfileType,
    /// Length of a step.
    pub step: Duration,
    /// One for each combination of labels.
    pub lines: Arc<[GroupTotals]>,
    /// How good the data of the hosts concerned is.
    pub quality: Quality,
}

/// The total of a selection by step of time; a `step` of zero is chosen.
///
/// # Errors
/// Too many steps or lines; as [`Reader::totals`].
pub fn trend(
    reader: &Reader,
    selection: &Selection,
    step: Duration,
    group_by: &[String],
    limits: &QueryLimits,
) -> Result<Trend, QueryError> {
    let labels = group_by.len() as u128;
    at_most(
        "the number of labels to group by",
        labels,
        GROUP_LABELS_MAX as u128,
    )?;
    for name in group_by {
        check_name("the name of a label", name)?;
    }
    let step = step_of(selection.range, step)?;
    let read = || reader.totals(selection, step, group_by, limits);
    let (lines, quality) = beside_hosts(reader, selection, limits, read)?;
    if lines.len() > LINES_MAX {
        return Err(QueryError::TooManyLines { lines: lines.len() });
    }
    Ok(Trend {
        profile_type: selection.profile_type.clone(),
        step,
        lines,
        quality,
    })
}

/// The length of a step: as asked for, or the first easy one that makes few enough of them.
fn step_of(range: TimeRange, asked: Duration) -> Result<Duration, QueryError> {
    let length = range.end.saturating_sub(range.start);
    if !asked.is_zero() {
        let steps = length.as_nanos().div_ceil(asked.as_nanos());
        at_most("the number of steps", steps, STEPS_MAX)?;
        return Ok(asked);
    }
    let fits = |step: &Duration| length.as_nanos() <= STEPS_DEFAULT * step.as_nanos();
    let mut easy = STEPS_SECONDS.iter().map(|step| Duration::from_secs(*step));
    // Beyond the last easy step: whole days.
    let days = length.as_nanos().div_ceil(STEPS_DEFAULT * DAY.as_nanos());
    let days = u32::try_from(days).unwrap_or(u32::MAX);
    Ok(easy.find(fits).unwrap_or_else(|| DAY.saturating_mul(days)))
}

/// A value of a label, and its total.
pub(super) type ValueTotal = (String, u64);

/// The total of each value of a label, heaviest first; the empty value for what has no such label.
///
/// # Errors
/// As [`Reader::totals`].
pub(super) fn by_label(
    reader: &Reader,
    selection: &Selection,
    label: &str,
    limits: &QueryLimits,
) -> Result<Vec<ValueTotal>, QueryError> {
    // Steps are counted from the epoch: one of so many whole days holds the whole range.
    let days = selection.range.end.as_secs() / DAY.as_secs() + 1;
    let step = DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX));
    let groups = reader.totals(selection, step, &[label.to_owned()], limits)?;
    let total = |group: &GroupTotals| {
        let points = group.points.iter().map(|point| point.value);
        let name = group.labels.get(label).cloned().unwrap_or_default();
        (name, points.fold(0, u64::saturating_add))
    };
    let mut values: Vec<ValueTotal> = groups.iter().map(total).collect();
    values.sort_by(|(a_name, a), (b_name, b)| (b, a_name).cmp(&(a, b_name)));
    Ok(values)
}

/// The part of a selection in which a label has one value.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The value; `None` for the parts that were too many to be told apart.
    pub(super) value: Option<String>,
    /// Its stacks.
    pub(super) merged: Arc<MergedStacks>,
}

/// Divides a selection by the values of a label. A selection that reads very much stays whole: it
/// would be read again for each part.
///
/// # Errors
/// As [`Reader::merged`].
pub(super) fn split(
    reader: &Reader,
    selection: &Selection,
    label: &str,
    limits: &QueryLimits,
) -> Result<Vec<Part>, QueryError> {
    let merged = reader.merged(selection, limits)?;
    if merged.rows_read > SPLIT_ROWS_MAX {
        return Ok(vec![Part {
            value: None,
            merged,
        }]);
    }
    let mut values = by_label(reader, selection, label, limits)?;
    if values.len() == 1 {
        let value = values.pop().map(|(value, _total)| value);
        return Ok(vec![Part { value, merged }]);
    }
    let rest = values.split_off(values.len().min(SPLIT_PARTS_MAX));
    let with = |matchers: Vec<Matcher>| {
        let mut part = selection.clone();
        part.matchers.extend(matchers);
        reader.merged(&part, limits)
    };
    let matcher = |kind, value: &str| Matcher {
        name: label.to_owned(),
        kind,
        value: value.to_owned(),
    };
    let mut parts = Vec::new();
    for (value, _total) in &values {
        parts.push(Part {
            value: Some(value.clone()),
            merged: with(vec![matcher(MatchKind::Equal, value)])?,
        });
    }
    if !rest.is_empty() {
        let none_of = values.iter().map(|(v, _)| matcher(MatchKind::NotEqual, v));
        parts.push(Part {
            value: None,
            merged: with(none_of.collect())?,
        });
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::step_of;
    use crate::model::TimeRange;

    #[test]
    fn steps_are_easy_numbers_and_not_too_many() {
        let seconds = |length: u64, step: u64| {
            let range = TimeRange {
                start: Duration::from_secs(5),
                end: Duration::from_secs(5 + length),
            };
            step_of(range, Duration::from_secs(step)).map(|step| step.as_secs())
        };
        assert_eq!(10, seconds(900, 0).unwrap());
        assert_eq!(30, seconds(3_600, 0).unwrap());
        assert_eq!(1_800, seconds(86_400, 0).unwrap());
        assert_eq!(86_400, seconds(86_400 * 120, 0).unwrap());
        assert_eq!(2 * 86_400, seconds(86_400 * 121, 0).unwrap());
        assert_eq!(1, seconds(11_000, 1).unwrap());
        seconds(11_001, 1).unwrap_err();
    }
}
