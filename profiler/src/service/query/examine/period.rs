//! The part of a span of time that has data, and slices of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::select::Scope;
use crate::{
    model::{ProfileType, TimeRange, label},
    service::{
        query::{QueryError, Reader, question::types_of},
        store::{GroupTotals, QueryLimits},
    },
};

/// Length of a window where the data does not tell: that of a host that is watched for good.
const WINDOW: Duration = Duration::from_secs(10);
/// Steps in which data is looked for in a short span of time.
const STEP_MIN: Duration = Duration::from_secs(1);
/// Most steps in which data is looked for: an hour, which is what is asked for when nothing is said,
/// is looked at second by second.
const STEPS_MAX: u32 = 4_000;

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
        let step = if length <= STEP_MIN * STEPS_MAX {
            STEP_MIN
        } else {
            whole_steps(length / STEPS_MAX, WINDOW)
        };
        let mut found = Starts::default();
        for profile_type in types {
            found.add(&reader.totals(&scope.of(profile_type), step, &by_host(), limits)?);
        }
        let window = match reader.window() {
            Duration::ZERO => WINDOW,
            known => known,
        };
        let Some((first, last, step)) = found.extent(step, window) else {
            return Ok(None);
        };
        let range = TimeRange {
            start: first,
            end: last + step,
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

/// The label that tells hosts apart: each cuts its windows when it likes.
fn by_host() -> [String; 1] {
    [label::HOST.to_owned()]
}

/// Beginnings of the steps that have data, by host.
#[derive(Default)]
struct Starts(BTreeMap<Option<String>, BTreeSet<Duration>>);

impl Starts {
    /// Adds those of a signal.
    fn add(&mut self, totals: &[GroupTotals]) {
        for group in totals {
            let host = group.labels.get(label::HOST).cloned();
            let points = group.points.iter().filter(|point| 0 < point.value);
            let starts = self.0.entry(host).or_default();
            starts.extend(points.map(|point| point.start));
        }
    }

    /// The first and the last window, and how long one is; `window` where that does not tell. Windows of one host are as long as it is
    /// from one to the next. Those of several hosts do not begin together, and are put into steps of
    /// the usual length.
    fn extent(&self, step: Duration, window: Duration) -> Option<(Duration, Duration, Duration)> {
        let all: BTreeSet<Duration> = self.0.values().flatten().copied().collect();
        let all = if 1 < self.0.len() {
            let step = step.max(WINDOW);
            all.into_iter().map(|start| floor(start, step)).collect()
        } else {
            all
        };
        let (first, last) = (*all.first()?, *all.last()?);
        let gaps = all.iter().zip(all.iter().skip(1));
        let gap = gaps.map(|(a, b)| b.saturating_sub(*a)).min();
        Some((first, last, gap.unwrap_or(window).max(step)))
    }
}

/// The last whole step before a moment.
fn floor(moment: Duration, step: Duration) -> Duration {
    let steps = moment.as_nanos() / step.as_nanos();
    step.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

/// A length that is a whole number of steps, at least one, and at least as long as asked for.
fn whole_steps(length: Duration, step: Duration) -> Duration {
    let steps = length.as_nanos().div_ceil(step.as_nanos()).max(1);
    step.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Period, STEP_MIN, Starts, WINDOW};
    use crate::model::TimeRange;

    /// First, last and length of the windows of some hosts that begin at these seconds.
    fn extent(hosts: &[&[u64]]) -> [u64; 3] {
        let starts = (0..).zip(hosts).map(|(host, starts)| {
            let starts = starts.iter().map(|start| Duration::from_secs(*start));
            (Some(host.to_string()), starts.collect())
        });
        let found = Starts(
            starts
                .map(|(host, starts): (Option<String>, _)| (host, starts))
                .collect(),
        );
        let (first, last, window) = found.extent(STEP_MIN, WINDOW).unwrap();
        [first, last, window].map(|time| time.as_secs())
    }

    #[test]
    fn a_host_tells_how_long_its_windows_are() {
        assert_eq!([103, 123, 10], extent(&[&[103, 113, 123]]));
        assert_eq!([103, 107, 1], extent(&[&[103, 104, 106, 107]]));
        assert_eq!([103, 103, 10], extent(&[&[103]]), "one alone does not tell");
    }

    #[test]
    fn windows_of_several_hosts_are_put_into_steps() {
        assert_eq!([100, 110, 10], extent(&[&[103, 113], &[109, 119]]));
    }

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
