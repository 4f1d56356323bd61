//! The part of a span of time that has data, and slices of it.

use std::{collections::BTreeSet, time::Duration};

use super::select::Scope;
use crate::{
    model::{ProfileType, TimeRange},
    service::{
        query::{QueryError, Reader, question::types_of},
        store::QueryLimits,
    },
};

/// Steps in which data is looked for: windows are as long, or a multiple.
const STEP: Duration = Duration::from_secs(10);
/// Most steps in which data is looked for.
const STEPS_MAX: u32 = 1_000;

/// The part of a span of time that has data.
#[derive(Clone, Copy, Debug)]
pub(in crate::service::query) struct Period {
    /// From the first window to the end of the last one.
    pub(in crate::service::query) range: TimeRange,
    /// Length of a window, or a multiple of it.
    step: Duration,
}

impl Period {
    /// The part of a scope that has data of some signals; nothing when there is none.
    ///
    /// # Errors
    /// As [`Reader::totals`].
    pub(in crate::service::query) fn of(
        reader: &Reader,
        scope: &Scope,
        signals: &[&str],
        limits: &QueryLimits,
    ) -> Result<Option<Self>, QueryError> {
        let first = |signal: &&str| {
            types_of(reader.store(), scope.range, signal)
                .into_iter()
                .next()
        };
        let types: Vec<ProfileType> = signals.iter().filter_map(first).collect();
        Self::of_types(reader, scope, types, limits)
    }

    /// The part of a scope that has data of some types.
    ///
    /// # Errors
    /// As [`Reader::totals`].
    pub(in crate::service::query) fn of_types(
        reader: &Reader,
        scope: &Scope,
        types: Vec<ProfileType>,
        limits: &QueryLimits,
    ) -> Result<Option<Self>, QueryError> {
        let length = scope.range.end.saturating_sub(scope.range.start);
        let step = whole_steps(length / STEPS_MAX, STEP);
        let mut starts = BTreeSet::new();
        for profile_type in types {
            let totals = reader.totals(&scope.of(profile_type), step, &[], limits)?;
            let points = totals.iter().flat_map(|group| &group.points);
            starts.extend(points.filter(|p| 0 < p.value).map(|p| p.start));
        }
        let (Some(first), Some(last)) = (starts.first(), starts.last()) else {
            return Ok(None);
        };
        let gaps = starts.iter().zip(starts.iter().skip(1));
        let step = gaps
            .map(|(a, b)| b.saturating_sub(*a))
            .min()
            .unwrap_or(step)
            .max(step);
        let step = step.max(reader.window());
        let range = TimeRange {
            start: *first,
            end: *last + step,
        };
        Ok(Some(Self { range, step }))
    }

    /// Its length.
    pub(in crate::service::query) fn length(&self) -> Duration {
        self.range.end.saturating_sub(self.range.start)
    }

    /// At most so many slices of equal length, each a whole number of windows. What is left over at
    /// the end is a shorter one.
    pub(in crate::service::query) fn slices(&self, most: u32) -> Vec<TimeRange> {
        let length = whole_steps(self.length() / most.max(1), self.step);
        let mut slices = Vec::new();
        let mut start = self.range.start;
        while start < self.range.end {
            let end = (start + length).min(self.range.end);
            slices.push(TimeRange { start, end });
            start = end;
        }
        slices
    }
}

/// A length that is a whole number of steps, at least one, and at least as long as asked for.
fn whole_steps(length: Duration, step: Duration) -> Duration {
    let steps = length.as_nanos().div_ceil(step.as_nanos()).max(1);
    step.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Period;
    use crate::model::TimeRange;

    #[test]
    fn slices_are_whole_windows_and_cover_everything() {
        let seconds = Duration::from_secs;
        let period = Period {
            range: TimeRange {
                start: seconds(100),
                end: seconds(400),
            },
            step: seconds(10),
        };
        assert_eq!(30, period.slices(30).len());
        assert_eq!(30, period.slices(1_000).len());
        let slices = period.slices(7);
        assert_eq!(6, slices.len());
        assert_eq!(seconds(150), slices[0].end);
        assert_eq!(seconds(400), slices[5].end);
        assert_eq!(1, period.slices(1).len());
    }
}
