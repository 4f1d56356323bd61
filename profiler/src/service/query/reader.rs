//! Reads from the store through the cache.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    QueryError,
    cache::{Asked, Cache, CacheStats, Kept},
    limits::{LATE_DATA_MAX, STACKS_MAX},
    names::{NamedStacks, Names},
};
use crate::{
    clock,
    model::{Labels, Selection, StackId, TimeRange},
    service::store::{
        GroupStacks, GroupTotals, HostFacts, MergedStacks, QueryLimits, SLOT, Store, TotalsPoint,
    },
    telemetry::TRACES,
};

/// The longest steps of the pieces that are kept; [`SLOT`]s are the others.
const HOUR: Duration = Duration::from_secs(3_600);

/// The store, with what was read lately.
pub struct Reader {
    store: Arc<dyn Store>,
    cache: Cache,
    names: Names,
    /// Least length of a window, where it is known.
    window: Duration,
}

impl Reader {
    /// Reads from a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            cache: Cache::default(),
            names: Names::default(),
            window: Duration::ZERO,
        }
    }

    /// Reads from a store that has one window of this length at each time that it has any.
    pub fn of_recording(store: Arc<dyn Store>, window: Duration) -> Self {
        Self {
            window,
            ..Self::new(store)
        }
    }

    /// Least length of a window; zero where that is not known.
    pub(super) fn window(&self) -> Duration {
        self.window
    }

    /// The store itself.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// How often the cache helped.
    pub fn cache_stats(&self) -> CacheStats {
        self.cache.stats()
    }

    /// Summed values of each stack of a selection.
    ///
    /// # Errors
    /// As [`Store::merge_stacks`]; more stacks than one answer may look at.
    pub fn merged(
        &self,
        selection: &Selection,
        limits: &QueryLimits,
    ) -> Result<Arc<MergedStacks>, QueryError> {
        let merged = pieces(selection, clock::wall());
        let merged = merged.map(|piece| self.merged_piece(&piece, limits));
        let merged = add(merged.collect::<Result<_, _>>()?);
        if merged.stacks.len() > STACKS_MAX {
            return Err(QueryError::TooManyStacks {
                stacks: merged.stacks.len(),
            });
        }
        Ok(merged)
    }

    /// Summed values of each stack of one piece of time.
    fn merged_piece(
        &self,
        piece: &Selection,
        limits: &QueryLimits,
    ) -> Result<Arc<MergedStacks>, QueryError> {
        let version = self.store.version(piece.range);
        let asked = || Asked::Stacks(piece.clone(), version);
        if let Some(Kept::Stacks(merged)) = self.kept(piece.range, asked) {
            return Ok(merged);
        }
        let _span = tracing::debug_span!(target: TRACES, "read stacks").entered();
        let merged = Arc::new(self.store.merge_stacks(piece, limits)?);
        self.keep(piece.range, asked, Kept::Stacks(Arc::clone(&merged)));
        Ok(merged)
    }

    /// Summed values of each stack of a selection, apart by some labels. Not kept: there are as many
    /// answers as there are ways to divide.
    ///
    /// # Errors
    /// As [`Store::merge_stacks_by`]; more stacks than one answer may look at.
    pub fn merged_by(
        &self,
        selection: &Selection,
        group_by: &[String],
        limits: &QueryLimits,
    ) -> Result<Vec<GroupStacks>, QueryError> {
        let groups = self.store.merge_stacks_by(selection, group_by, limits)?;
        let stacks = groups.iter().map(|group| group.stacks.len()).sum();
        if STACKS_MAX < stacks {
            return Err(QueryError::TooManyStacks { stacks });
        }
        Ok(groups)
    }

    /// Totals of a selection by step of time.
    ///
    /// # Errors
    /// As [`Store::totals`].
    pub fn totals(
        &self,
        selection: &Selection,
        step: Duration,
        group_by: &[String],
        limits: &QueryLimits,
    ) -> Result<Arc<[GroupTotals]>, QueryError> {
        let totals = pieces(selection, clock::wall());
        let totals = totals.map(|piece| self.totals_piece(&piece, step, group_by, limits));
        Ok(add_totals(totals.collect::<Result<_, _>>()?))
    }

    /// Totals of one piece of time.
    fn totals_piece(
        &self,
        piece: &Selection,
        step: Duration,
        group_by: &[String],
        limits: &QueryLimits,
    ) -> Result<Arc<[GroupTotals]>, QueryError> {
        let version = self.store.version(piece.range);
        let asked = || Asked::Totals(piece.clone(), step, group_by.to_vec(), version);
        if let Some(Kept::Totals(totals)) = self.kept(piece.range, asked) {
            return Ok(totals);
        }
        let totals = self.store.totals(piece, step, group_by, limits)?;
        let totals: Arc<[GroupTotals]> = totals.into();
        self.keep(piece.range, asked, Kept::Totals(Arc::clone(&totals)));
        Ok(totals)
    }

    /// Hosts that delivered a signal: a host once for each piece that the span is read in.
    pub fn hosts(&self, range: TimeRange, signal: &str) -> Vec<Arc<[HostFacts]>> {
        let pieces = cut(range, clock::wall());
        pieces
            .map(|piece| self.hosts_piece(piece, signal))
            .collect()
    }

    /// Hosts that delivered a signal in one piece of time.
    fn hosts_piece(&self, range: TimeRange, signal: &str) -> Arc<[HostFacts]> {
        let version = self.store.version(range);
        let asked = || Asked::Hosts(range, signal.to_owned(), version);
        if let Some(Kept::Hosts(hosts)) = self.kept(range, asked) {
            return hosts;
        }
        let hosts: Arc<[HostFacts]> = self.store.hosts(range, Some(signal)).into();
        self.keep(range, asked, Kept::Hosts(Arc::clone(&hosts)));
        hosts
    }

    /// The names of the levels of stacks, in the order of the merged stacks.
    pub fn named(&self, merged: &MergedStacks) -> NamedStacks {
        let stacks = merged.stacks.len();
        let _span = tracing::debug_span!(target: TRACES, "name stacks", stacks).entered();
        let ids: Vec<StackId> = merged.stacks.iter().map(|(id, _value)| *id).collect();
        self.names.look_up(self.store.as_ref(), &ids)
    }

    /// An answer that was given lately.
    fn kept(&self, range: TimeRange, asked: impl FnOnce() -> Asked) -> Option<Kept> {
        if is_settled(range, clock::wall()) {
            self.cache.get(&asked(), clock::monotonic())
        } else {
            self.cache.passed();
            None
        }
    }

    /// Keeps an answer if it can be given again.
    fn keep(&self, range: TimeRange, asked: impl FnOnce() -> Asked, kept: Kept) {
        if is_settled(range, clock::wall()) {
            self.cache.put(asked(), kept, clock::monotonic());
        }
    }
}

/// Whether no more data is expected in a span of time.
fn is_settled(range: TimeRange, now: Duration) -> bool {
    range.end.saturating_add(LATE_DATA_MAX) <= now
}

/// The pieces that a selection is read in: see [`cut`].
fn pieces(selection: &Selection, now: Duration) -> impl Iterator<Item = Selection> {
    cut(selection.range, now).map(|range| Selection {
        range,
        ..selection.clone()
    })
}

/// The pieces that a span of time is read in, in order: the whole hours in which nothing more will
/// happen, the whole slots before and after them, and what is left at both ends. "The last day" is
/// another span at each moment; its whole hours are the same ones for an hour, and its whole slots for
/// the length of a slot, so that only its ends are read again.
fn cut(range: TimeRange, now: Duration) -> impl Iterator<Item = TimeRange> {
    let settled = now.saturating_sub(LATE_DATA_MAX).min(range.end);
    let [first_slot, last_slot] = whole(SLOT, range.start, settled);
    let [first_hour, last_hour] = whole(HOUR, range.start, settled);
    // Without a whole slot the first piece is all of it, without a whole hour its slots are one.
    let marks = if last_slot <= first_slot {
        [range.end; 4]
    } else if last_hour <= first_hour {
        [first_slot, last_slot, last_slot, last_slot]
    } else {
        [first_slot, first_hour, last_hour, last_slot]
    };
    let starts = [range.start].into_iter().chain(marks);
    starts
        .zip(marks.into_iter().chain([range.end]))
        .map(|(start, end)| TimeRange { start, end })
        .filter(|piece| piece.start < piece.end)
}

/// Begin and end of the whole steps between two times; the end is not after the begin when there are
/// none.
fn whole(step: Duration, start: Duration, end: Duration) -> [Duration; 2] {
    let step_s = step.as_secs();
    let before = |time: Duration| Duration::from_secs(time.as_secs() / step_s * step_s);
    let first = match before(start) {
        exactly if exactly == start => start,
        earlier => earlier.saturating_add(step),
    };
    [first, before(end)]
}

/// Adds up the stacks of pieces of time.
fn add(mut pieces: Vec<Arc<MergedStacks>>) -> Arc<MergedStacks> {
    if pieces.len() < 2 {
        return pieces.pop().unwrap_or_default();
    }
    let rows_read = pieces.iter().map(|piece| piece.rows_read);
    let rows_read = rows_read.fold(0, u64::saturating_add);
    let mut stacks: Vec<(StackId, u64)> = (pieces.iter())
        .flat_map(|piece| piece.stacks.iter().copied())
        .collect();
    // Pieces are in order already, which this sort makes use of.
    stacks.sort_by_key(|(id, _value)| *id);
    stacks.dedup_by(|later, first| {
        let is_same = later.0 == first.0;
        if is_same {
            first.1 = first.1.saturating_add(later.1);
        }
        is_same
    });
    Arc::new(MergedStacks { stacks, rows_read })
}

/// Adds up the totals of pieces of time: a step may lie in two of them.
fn add_totals(mut pieces: Vec<Arc<[GroupTotals]>>) -> Arc<[GroupTotals]> {
    if pieces.len() < 2 {
        return pieces.pop().unwrap_or_default();
    }
    let mut groups: BTreeMap<&Labels, BTreeMap<Duration, u64>> = BTreeMap::new();
    for group in pieces.iter().flat_map(|piece| piece.iter()) {
        let points = groups.entry(&group.labels).or_default();
        for point in &group.points {
            let sum = points.entry(point.start).or_default();
            *sum = sum.saturating_add(point.value);
        }
    }
    let to_point = |(start, value)| TotalsPoint { start, value };
    let to_group = |(labels, points): (&Labels, BTreeMap<Duration, u64>)| GroupTotals {
        labels: labels.clone(),
        points: points.into_iter().map(to_point).collect(),
    };
    groups.into_iter().map(to_group).collect()
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{HOUR, LATE_DATA_MAX, SLOT, add, add_totals, cut};
    use crate::{
        model::{Labels, StackId, TimeRange},
        service::store::{GroupTotals, MergedStacks, TotalsPoint},
    };

    /// Seconds at which a span is cut.
    fn marks(start: u64, end: u64, now: u64) -> Vec<u64> {
        let range = TimeRange {
            start: Duration::from_secs(start),
            end: Duration::from_secs(end),
        };
        let pieces: Vec<TimeRange> = cut(range, Duration::from_secs(now)).collect();
        let mut marks = vec![start];
        for piece in pieces {
            assert_eq!(
                marks.last(),
                Some(&piece.start.as_secs()),
                "in order, without a gap"
            );
            marks.push(piece.end.as_secs());
        }
        marks
    }

    #[test]
    fn whole_hours_and_slots_of_the_past_are_pieces_of_their_own() {
        let (hour, slot) = (HOUR.as_secs(), SLOT.as_secs());
        let late = LATE_DATA_MAX.as_secs();
        let now = 10 * hour + 2 * slot + late;
        let day = vec![4_201, 4_500, 2 * hour, 10 * hour, now - late, now];
        assert_eq!(day, marks(4_201, now, now));
        // A moment later all but the ends is the same.
        let later = vec![4_202, 4_500, 2 * hour, 10 * hour, now - late, now + 1];
        assert_eq!(later, marks(4_202, now + 1, now + 1));
        // A span that begins and ends with hours.
        assert_eq!(vec![hour, 9 * hour], marks(hour, 9 * hour, now));
        // Without a whole hour, without a whole slot.
        let without = vec![now - 700, now - 700 + 280, now - late, now];
        assert_eq!(without, marks(now - 700, now, now));
        assert_eq!(vec![now - 100, now], marks(now - 100, now, now));
        // What is long past too: its hours are those of the next span.
        let past = vec![
            1,
            slot,
            hour,
            10 * hour,
            10 * hour + slot,
            10 * hour + slot + 1,
        ];
        assert_eq!(past, marks(1, 10 * hour + slot + 1, now + hour));
        // The hour that just ended may still get data.
        let just = 10 * hour + late - 1;
        assert_eq!(
            vec![hour, 9 * hour, 10 * hour - slot, just],
            marks(hour, just, just)
        );
    }

    #[test]
    fn pieces_add_up() {
        let piece = |stacks: &[(u64, u64)]| {
            let stacks = stacks.iter().map(|(id, value)| (StackId(*id), *value));
            Arc::new(MergedStacks {
                stacks: stacks.collect(),
                rows_read: 2,
            })
        };
        let parts = vec![
            piece(&[(1, 1), (3, u64::MAX)]),
            piece(&[(2, 5), (3, 1)]),
            piece(&[(1, 4)]),
        ];
        let mut expected = MergedStacks::clone(&piece(&[(1, 5), (2, 5), (3, u64::MAX)]));
        expected.rows_read = 6;
        assert_eq!(expected, *add(parts));
    }
    #[test]
    fn a_step_in_two_pieces_is_one() {
        let piece = |label: &str, points: &[(u64, u64)]| GroupTotals {
            labels: Labels::from([("host".to_owned(), label.to_owned())]),
            points: (points.iter())
                .map(|(start, value)| TotalsPoint {
                    start: Duration::from_secs(*start),
                    value: *value,
                })
                .collect(),
        };
        let first: Arc<[GroupTotals]> =
            [piece("a", &[(0, 1), (60, 2)]), piece("c", &[(0, 3)])].into();
        let second: Arc<[GroupTotals]> = [piece("a", &[(60, 5)]), piece("b", &[(60, 7)])].into();
        let expected = [
            piece("a", &[(0, 1), (60, 7)]),
            piece("b", &[(60, 7)]),
            piece("c", &[(0, 3)]),
        ];
        assert_eq!(expected, *add_totals(vec![first, second]));
    }
}
