//! Reads from the store through the cache.

use std::{sync::Arc, time::Duration};

use super::{
    QueryError,
    cache::{Asked, Cache, CacheStats, Kept},
    limits::{LATE_DATA_MAX, STACKS_MAX},
    names::{NamedStacks, Names},
};
use crate::{
    clock,
    model::{Selection, StackId, TimeRange},
    service::store::{GroupTotals, HostFacts, MergedStacks, QueryLimits, Store},
};

/// Length of the pieces that are kept.
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
        let mut merged = Vec::new();
        for range in pieces(selection.range, clock::wall()) {
            let piece = Selection {
                range,
                ..selection.clone()
            };
            merged.push(self.merged_piece(&piece, limits)?);
        }
        let merged = add(merged);
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
        let merged = Arc::new(self.store.merge_stacks(piece, limits)?);
        self.keep(piece.range, asked, Kept::Stacks(Arc::clone(&merged)));
        Ok(merged)
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
        let version = self.store.version(selection.range);
        let asked = || Asked::Totals(selection.clone(), step, group_by.to_vec(), version);
        if let Some(Kept::Totals(totals)) = self.kept(selection.range, asked) {
            return Ok(totals);
        }
        let totals = self.store.totals(selection, step, group_by, limits)?;
        let totals: Arc<[GroupTotals]> = totals.into();
        self.keep(selection.range, asked, Kept::Totals(Arc::clone(&totals)));
        Ok(totals)
    }

    /// Hosts that delivered a signal.
    pub fn hosts(&self, range: TimeRange, signal: &str) -> Arc<[HostFacts]> {
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

/// The pieces that a span of time is read in, in order: whole hours in which nothing more will
/// happen apart from the rest. "The last day" is another span at each moment; its whole hours are
/// the same ones for an hour, so that only its ends are read again.
fn pieces(range: TimeRange, now: Duration) -> Vec<TimeRange> {
    let hour =
        |time: Duration| Duration::from_secs(time.as_secs() / HOUR.as_secs() * HOUR.as_secs());
    let first = match hour(range.start) {
        start if start == range.start => start,
        start => start.saturating_add(HOUR),
    };
    let last = hour(now.saturating_sub(LATE_DATA_MAX)).min(range.end);
    if is_settled(range, now) || last <= first {
        return vec![range];
    }
    [range.start, first, last]
        .into_iter()
        .zip([first, last, range.end])
        .map(|(start, end)| TimeRange { start, end })
        .filter(|piece| piece.start < piece.end)
        .collect()
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

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{HOUR, LATE_DATA_MAX, add, pieces};
    use crate::{
        model::{StackId, TimeRange},
        service::store::MergedStacks,
    };

    #[test]
    fn whole_hours_of_the_past_are_a_piece_of_their_own() {
        let seconds = |start: u64, end: u64, now: u64| {
            let range = TimeRange {
                start: Duration::from_secs(start),
                end: Duration::from_secs(end),
            };
            pieces(range, Duration::from_secs(now))
                .into_iter()
                .map(|piece| (piece.start.as_secs(), piece.end.as_secs()))
                .collect::<Vec<_>>()
        };
        let (hour, late) = (HOUR.as_secs(), LATE_DATA_MAX.as_secs());
        let now = 10 * hour + 600;
        let day = vec![(4_200, 7_200), (7_200, 10 * hour), (10 * hour, now)];
        assert_eq!(day, seconds(4_200, now, now));
        // A moment later the middle is the same.
        assert_eq!(day[1], seconds(4_201, now + 1, now + 1)[1]);
        assert_eq!(
            vec![(hour, 10 * hour), (10 * hour, now)],
            seconds(hour, now, now)
        );
        // Within an hour, and all in the past: in one piece.
        assert_eq!(vec![(now - 600, now)], seconds(now - 600, now, now));
        assert_eq!(vec![(1, now)], seconds(1, now, now + late));
        // The hour that just ended may still get data.
        let just = 10 * hour + late - 1;
        assert_eq!((hour, 9 * hour), seconds(hour, just, just)[0]);
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
}
