//! Which hours got new data, so that whoever keeps answers knows when they are old.

use std::time::Duration;

use crate::model::TimeRange;

/// Hours that are told apart. Hours that share a place only make each other's answers old.
const PLACES: usize = 1 << 12;
/// Length of an hour.
const HOUR_S: u64 = 3_600;

/// How many windows each hour got since the store was opened.
#[derive(Debug)]
pub(super) struct Changes(Box<[u64]>);

impl Default for Changes {
    fn default() -> Self {
        Self(vec![0; PLACES].into())
    }
}

impl Changes {
    /// A window that began at `start` was taken.
    pub(super) fn note(&mut self, start: Duration) {
        if let Some(count) = self.0.get_mut(place(start.as_secs() / HOUR_S)) {
            *count += 1;
        }
    }

    /// Windows taken in the hours of a span; it only grows.
    pub(super) fn in_range(&self, range: TimeRange) -> u64 {
        let first = range.start.as_secs() / HOUR_S;
        // The end is not in it: a question that ends with an hour is not about the next one.
        let last = range.end.saturating_sub(Duration::from_nanos(1)).as_secs() / HOUR_S;
        if PLACES as u64 <= last.saturating_sub(first) {
            return self.0.iter().sum();
        }
        (first..=last)
            .filter_map(|hour| self.0.get(place(hour)))
            .sum()
    }
}

/// The place of an hour.
fn place(hour: u64) -> usize {
    usize::try_from(hour % PLACES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Changes;
    use crate::model::TimeRange;

    fn hours(start: u64, end: u64) -> TimeRange {
        let hour = |number: u64| Duration::from_secs(number * 3_600);
        TimeRange {
            start: hour(start),
            end: hour(end),
        }
    }

    #[test]
    fn only_the_hours_of_a_window_change() {
        let mut changes = Changes::default();
        changes.note(Duration::from_secs(5 * 3_600 + 1));
        assert_eq!(1, changes.in_range(hours(5, 6)));
        assert_eq!(1, changes.in_range(hours(0, 1 << 40)));
        assert_eq!(0, changes.in_range(hours(6, 9)));
        assert_eq!(0, changes.in_range(hours(3, 5)));
    }
}
