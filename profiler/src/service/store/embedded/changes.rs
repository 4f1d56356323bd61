//! Which slots of time got new data, so that whoever keeps answers knows when they are old.

use std::time::Duration;

use crate::{model::TimeRange, service::store::SLOT};

/// Slots that are told apart, eight weeks of them. Slots that share a place only make each other's
/// answers old.
const PLACES: usize = 1 << 14;
/// Length of a slot.
const SLOT_S: u64 = SLOT.as_secs();

/// How many windows each slot got since the store was opened.
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
        if let Some(count) = self.0.get_mut(place(start.as_secs() / SLOT_S)) {
            *count += 1;
        }
    }

    /// Windows taken in the slots of a span; it only grows.
    pub(super) fn in_range(&self, range: TimeRange) -> u64 {
        let first = range.start.as_secs() / SLOT_S;
        // The end is not in it: a question that ends with a slot is not about the next one.
        let last = range.end.saturating_sub(Duration::from_nanos(1)).as_secs() / SLOT_S;
        if PLACES as u64 <= last.saturating_sub(first) {
            return self.0.iter().sum();
        }
        (first..=last)
            .filter_map(|slot| self.0.get(place(slot)))
            .sum()
    }
}

/// The place of a slot.
fn place(slot: u64) -> usize {
    usize::try_from(slot % PLACES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Changes, SLOT_S};
    use crate::model::TimeRange;

    fn slots(start: u64, end: u64) -> TimeRange {
        let slot = |number: u64| Duration::from_secs(number * SLOT_S);
        TimeRange {
            start: slot(start),
            end: slot(end),
        }
    }

    #[test]
    fn only_the_slots_of_a_window_change() {
        let mut changes = Changes::default();
        changes.note(Duration::from_secs(5 * SLOT_S + 1));
        assert_eq!(1, changes.in_range(slots(5, 6)));
        assert_eq!(1, changes.in_range(slots(0, 1 << 40)));
        assert_eq!(0, changes.in_range(slots(6, 9)));
        assert_eq!(0, changes.in_range(slots(3, 5)));
    }
}
