//! Answers of the store that are kept for the next question.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::limits::{CACHE_AGE_MAX, CACHE_SIZE_BYTES_MAX};
use crate::{
    model::{Selection, TimeRange},
    service::store::{GroupTotals, HostFacts, MergedStacks},
};

/// What the store was asked.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Asked {
    /// Merged stacks of a selection, and the version of the data.
    Stacks(Selection, u64),
    /// Totals of a selection: step, labels to group by, and the version of the data.
    Totals(Selection, Duration, Vec<String>, u64),
    /// Hosts that delivered a signal, and the version of the data.
    Hosts(TimeRange, String, u64),
}

/// What the store answered.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    /// To [`Asked::Stacks`].
    Stacks(Arc<MergedStacks>),
    /// To [`Asked::Totals`].
    Totals(Arc<[GroupTotals]>),
    /// To [`Asked::Hosts`].
    Hosts(Arc<[HostFacts]>),
}

impl Kept {
    /// About how much memory it takes.
    fn size_bytes(&self) -> usize {
        match self {
            Self::Stacks(merged) => size_of_val(merged.stacks.as_slice()),
            Self::Totals(groups) => groups
                .iter()
                .map(|group| {
                    let texts = group.labels.iter().map(|(n, v)| n.len() + v.len() + 64);
                    size_of_val(group.points.as_slice()) + texts.sum::<usize>()
                })
                .sum(),
            Self::Hosts(hosts) => hosts.len() * (size_of::<HostFacts>() + 256),
        }
    }
}

/// How often the cache helped.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CacheStats {
    /// Answers that were there.
    pub hits: u64,
    /// Answers that could have been there and were not.
    pub misses: u64,
    /// Reads that no cache can answer, because data may still come.
    pub uncacheable: u64,
    /// Answers that are there now.
    pub entries: u64,
    /// Memory they take, about.
    pub size_bytes: u64,
}

/// An answer with its age.
#[derive(Debug)]
struct Entry {
    kept: Kept,
    size_bytes: usize,
    /// Monotonic time.
    made: Duration,
    /// Turn of its last use.
    turn: u64,
}

/// The table and the order of use.
#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Arc<Asked>, Entry>,
    /// By turn of the last use; the first is the next to go.
    order: BTreeMap<u64, Arc<Asked>>,
    turn: u64,
    size_bytes: usize,
}

/// Keeps answers, the least recently used ones go first.
#[derive(Debug, Default)]
pub(super) struct Cache {
    table: Mutex<Table>,
    hits: AtomicU64,
    misses: AtomicU64,
    uncacheable: AtomicU64,
}

impl Cache {
    /// An answer that is young enough.
    pub(super) fn get(&self, asked: &Asked, now: Duration) -> Option<Kept> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let found = table.get(asked, now);
        drop(table);
        let counter = if found.is_some() {
            &self.hits
        } else {
            &self.misses
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps an answer; one that is larger than a quarter of the cache is not worth it.
    pub(super) fn put(&self, asked: Asked, kept: Kept, now: Duration) {
        let size_bytes = kept.size_bytes() + size_of::<Asked>() + size_of::<Entry>();
        if size_bytes > CACHE_SIZE_BYTES_MAX / 4 {
            return;
        }
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.put(Arc::new(asked), kept, size_bytes, now);
    }

    /// Counts a read that is not looked for here.
    pub(super) fn passed(&self) {
        self.uncacheable.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the cache helped so far.
    pub(super) fn stats(&self) -> CacheStats {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            uncacheable: self.uncacheable.load(Ordering::Relaxed),
            entries: table.entries.len() as u64,
            size_bytes: table.size_bytes as u64,
        }
    }
}

impl Table {
    /// An answer that is young enough; it becomes the last to go.
    fn get(&mut self, asked: &Asked, now: Duration) -> Option<Kept> {
        let (key, entry) = self.entries.get_key_value(asked)?;
        let key = Arc::clone(key);
        if now.saturating_sub(entry.made) > CACHE_AGE_MAX {
            self.remove(&key);
            return None;
        }
        self.turn += 1;
        let turn = self.turn;
        let entry = self.entries.get_mut(asked)?;
        self.order.remove(&entry.turn);
        entry.turn = turn;
        self.order.insert(turn, key);
        Some(entry.kept.clone())
    }

    /// Adds an answer and makes room.
    fn put(&mut self, asked: Arc<Asked>, kept: Kept, size_bytes: usize, now: Duration) {
        self.remove(&asked);
        self.turn += 1;
        self.order.insert(self.turn, Arc::clone(&asked));
        let entry = Entry {
            kept,
            size_bytes,
            made: now,
            turn: self.turn,
        };
        self.entries.insert(asked, entry);
        self.size_bytes += size_bytes;
        while self.size_bytes > CACHE_SIZE_BYTES_MAX
            && let Some((_turn, oldest)) = self.order.first_key_value()
        {
            let oldest = Arc::clone(oldest);
            self.remove(&oldest);
        }
    }

    /// Takes an answer out.
    fn remove(&mut self, asked: &Asked) {
        if let Some(entry) = self.entries.remove(asked) {
            self.order.remove(&entry.turn);
            self.size_bytes -= entry.size_bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{Asked, CACHE_AGE_MAX, CACHE_SIZE_BYTES_MAX, Cache, Kept};
    use crate::{
        model::{StackId, TimeRange},
        service::store::MergedStacks,
    };

    fn asked(signal: &str) -> Asked {
        Asked::Hosts(TimeRange::default(), signal.to_owned(), 0)
    }

    fn kept(stacks: usize) -> Kept {
        let stacks = vec![(StackId(1), 1); stacks];
        Kept::Stacks(Arc::new(MergedStacks {
            stacks,
            rows_read: 0,
        }))
    }

    #[test]
    fn an_answer_is_there_until_it_is_too_old() {
        let cache = Cache::default();
        assert!(cache.get(&asked("a"), Duration::ZERO).is_none());
        cache.put(asked("a"), kept(1), Duration::ZERO);
        assert!(cache.get(&asked("a"), CACHE_AGE_MAX).is_some());
        let later = CACHE_AGE_MAX + Duration::from_nanos(1);
        assert!(cache.get(&asked("a"), later).is_none());
        let stats = cache.stats();
        assert_eq!((1, 2), (stats.hits, stats.misses));
        assert_eq!((0, 0), (stats.entries, stats.size_bytes));
    }

    #[test]
    fn the_least_recently_used_go_first_and_memory_is_bounded() {
        let cache = Cache::default();
        let fifth = CACHE_SIZE_BYTES_MAX / 5 / size_of::<(StackId, u64)>();
        for name in ["a", "b", "c", "d"] {
            cache.put(asked(name), kept(fifth), Duration::ZERO);
        }
        assert!(cache.get(&asked("a"), Duration::ZERO).is_some());
        cache.put(asked("e"), kept(fifth), Duration::ZERO);
        assert!(cache.get(&asked("b"), Duration::ZERO).is_none());
        assert!(cache.get(&asked("a"), Duration::ZERO).is_some());
        assert!(cache.stats().size_bytes <= CACHE_SIZE_BYTES_MAX as u64);
        cache.put(asked("f"), kept(2 * fifth), Duration::ZERO);
        assert!(cache.get(&asked("f"), Duration::ZERO).is_none());
    }
}
