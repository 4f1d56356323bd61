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

/// The store, with what was read lately.
pub struct Reader {
    store: Arc<dyn Store>,
    cache: Cache,
    names: Names,
}

impl Reader {
    /// Reads from a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            cache: Cache::default(),
            names: Names::default(),
        }
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
        let asked = || Asked::Stacks(selection.clone());
        if let Some(Kept::Stacks(merged)) = self.kept(selection.range, asked) {
            return Ok(merged);
        }
        let merged = Arc::new(self.store.merge_stacks(selection, limits)?);
        if merged.stacks.len() > STACKS_MAX {
            return Err(QueryError::TooManyStacks {
                stacks: merged.stacks.len(),
            });
        }
        self.keep(selection.range, asked, Kept::Stacks(Arc::clone(&merged)));
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
    ) -> Result<Arc<Vec<GroupTotals>>, QueryError> {
        let asked = || Asked::Totals(selection.clone(), step, group_by.to_vec());
        if let Some(Kept::Totals(totals)) = self.kept(selection.range, asked) {
            return Ok(totals);
        }
        let totals = Arc::new(self.store.totals(selection, step, group_by, limits)?);
        self.keep(selection.range, asked, Kept::Totals(Arc::clone(&totals)));
        Ok(totals)
    }

    /// Hosts that delivered a signal.
    pub fn hosts(&self, range: TimeRange, signal: &str) -> Arc<Vec<HostFacts>> {
        let asked = || Asked::Hosts(range, signal.to_owned());
        if let Some(Kept::Hosts(hosts)) = self.kept(range, asked) {
            return hosts;
        }
        let hosts = Arc::new(self.store.hosts(range, Some(signal)));
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
