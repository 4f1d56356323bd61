//! What goes on beside: retention, forgetting, numbers for `/metrics`.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{
    catalog::Change,
    engine::{Inner, lock},
    flush::NewParts,
    options::StoreStats,
    part::{HOUR_NS, Kind, Part, Resolution},
    rows::nanoseconds,
};
use crate::{service::store::StoreError, telemetry::TRACES};

impl Inner {
    /// Does some upkeep from time to time, until the store closes.
    pub(super) fn repeat(
        &self,
        what: &'static str,
        upkeep: impl Fn(&Self) -> Result<(), StoreError>,
    ) {
        let interval = self.options.upkeep_interval.unwrap_or(Duration::MAX);
        loop {
            let queue = lock(&self.queue);
            let (queue, _timeout) = (self.wake_upkeep)
                .wait_timeout_while(queue, interval, |queue| !queue.is_stopped())
                .unwrap_or_else(PoisonError::into_inner);
            let is_stopped = queue.is_stopped();
            drop(queue);
            if is_stopped {
                return;
            }
            let span = tracing::debug_span!(target: TRACES, "upkeep", otel.name = what);
            match span.in_scope(|| upkeep(self)) {
                Ok(()) => lock(&self.health).upkeep_error = None,
                Err(error) => lock(&self.health).upkeep_error = Some(error.to_string()),
            }
        }
    }

    /// Drops parts that are too old for their resolution, then the oldest hours while there is too
    /// much.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub(super) fn retain(&self, now: Duration) -> Result<(), StoreError> {
        let parts = Arc::clone(&self.state().parts);
        let now = nanoseconds(now);
        let is_old = |part: &&Arc<Part>| {
            let facts = &part.facts;
            // What was not merged yet is not in the sums: it is kept as long as they are.
            let keep = match (facts.level, facts.resolution) {
                (0, _) | (_, Resolution::Hour | Resolution::Service) => self.options.keep_hours,
                (_, Resolution::Raw) => self.options.keep_raw,
                (_, Resolution::Minute) => self.options.keep_minutes,
            };
            let end = facts.partition.saturating_add(HOUR_NS);
            facts.kind != Kind::Definitions && end.saturating_add(nanoseconds(keep)) <= now
        };
        let old: Vec<Arc<Part>> = parts.iter().filter(is_old).cloned().collect();
        self.remove(&old, Vec::new())?;
        self.retain_size()
    }

    /// Drops the oldest hours while there is too much.
    fn retain_size(&self) -> Result<(), StoreError> {
        let Some(bytes_max) = self.options.disk_bytes_max else {
            return Ok(());
        };
        let parts = Arc::clone(&self.state().parts);
        let mut bytes: u64 = parts.iter().map(|part| part.facts.size_bytes).sum();
        let hours: BTreeSet<u64> = (parts.iter())
            .filter(|part| part.facts.kind != Kind::Definitions)
            .map(|part| part.facts.partition)
            .collect();
        let mut dropped = Vec::new();
        for hour in hours {
            if bytes <= bytes_max {
                break;
            }
            for part in parts.iter() {
                if part.facts.kind != Kind::Definitions && part.facts.partition == hour {
                    bytes -= part.facts.size_bytes;
                    dropped.push(Arc::clone(part));
                }
            }
        }
        self.remove(&dropped, Vec::new())
    }

    /// Removes parts, and series that only they had.
    fn remove(
        &self,
        removed: &[Arc<Part>],
        meta: Vec<(&'static str, u64)>,
    ) -> Result<(), StoreError> {
        if removed.is_empty() && meta.is_empty() {
            return Ok(());
        }
        let change = Change {
            meta,
            ..Change::default()
        };
        NewParts::new(self).commit(removed, &change, |_state| {})?;
        let count = u64::try_from(removed.len()).unwrap_or(u64::MAX);
        self.counters.parts_dropped.add(count);
        self.forget_series()
    }

    /// Forgets series whose last window is older than everything that is kept.
    fn forget_series(&self) -> Result<(), StoreError> {
        // A flush writes series that it saw before; it must not bring back what goes here.
        let _flushing = lock(&self.flushing);
        let mut state = self.state_mut();
        let rows = (state.parts.iter()).filter(|part| part.facts.kind != Kind::Definitions);
        let oldest = rows.map(|part| part.facts.ts_min).min();
        let in_memory = (state.frozen.iter().chain(&state.active))
            .filter(|chunk| !chunk.hosts.is_empty())
            .map(|chunk| chunk.ts_min)
            .min();
        let Some(oldest) = oldest.into_iter().chain(in_memory).min() else {
            return Ok(());
        };
        let forgotten = state.series.forget_before(oldest);
        drop(state);
        if forgotten.is_empty() {
            return Ok(());
        }
        lock(&self.catalog).apply(&Change {
            forgotten,
            ..Change::default()
        })
    }

    /// Forgets windows that began before `before`: hours that are over by then at once, the rest
    /// of an hour by looking past it.
    ///
    /// # Errors
    /// The catalogue cannot be written; nothing is forgotten.
    pub(super) fn drop_before(&self, before: Duration) -> Result<(), StoreError> {
        let _compacting = lock(&self.compacting);
        let state = self.state();
        let floor = nanoseconds(before).max(state.floor);
        let is_over = |part: &&Arc<Part>| {
            let facts = &part.facts;
            facts.kind != Kind::Definitions && facts.partition.saturating_add(HOUR_NS) <= floor
        };
        let removed: Vec<Arc<Part>> = state.parts.iter().filter(is_over).cloned().collect();
        drop(state);
        let change = Change {
            meta: vec![("floor", floor)],
            ..Change::default()
        };
        NewParts::new(self).commit(&removed, &change, |state| state.floor = floor)?;
        self.forget_series()
    }

    /// Numbers for `/metrics`.
    pub(super) fn stats(&self) -> StoreStats {
        let counters = &self.counters;
        let state = self.state();
        let bytes = |kind| {
            let parts = state.parts.iter().filter(|part| part.facts.kind == kind);
            parts.map(|part| part.facts.size_bytes).sum::<u64>()
        };
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let is_raw = |part: &&Arc<Part>| {
            part.facts.kind == Kind::Samples && part.facts.resolution == Resolution::Raw
        };
        let rows = (state.frozen.iter().chain(&state.active)).map(|chunk| chunk.sample_rows());
        let dictionary = state.dictionary.size();
        let stats = StoreStats {
            batches: counters.batches.get(),
            batches_repeated: counters.batches_repeated.get(),
            rows_taken: counters.rows_taken.get(),
            rows_stored: (state.parts.iter().filter(is_raw))
                .map(|part| part.facts.rows)
                .sum(),
            rows_in_memory: count(rows.sum()),
            memory_bytes: count(state.active_bytes + state.frozen_bytes),
            parts: count(state.parts.len()),
            samples_bytes: bytes(Kind::Samples),
            totals_bytes: bytes(Kind::Totals),
            hosts_bytes: bytes(Kind::Hosts),
            definitions_bytes: bytes(Kind::Definitions),
            wal_bytes: 0,
            catalog_bytes: 0,
            frames: dictionary.frames,
            stacks: dictionary.stacks,
            series: count(state.series.len()),
            hash_collisions: dictionary.collisions,
            cache_hits: counters.cache_hits.get(),
            cache_misses: counters.cache_misses.get(),
            corrupt_records: counters.corrupt_records.get(),
            torn_bytes: counters.torn_bytes.get(),
            parts_unreadable: counters.parts_unreadable.get(),
            full_events: counters.full_events.get(),
            flushes: counters.flushes.get(),
            compactions: counters.compactions.get(),
            parts_dropped: counters.parts_dropped.get(),
        };
        drop(state);
        StoreStats {
            wal_bytes: lock(&self.wal).total_bytes(),
            catalog_bytes: lock(&self.catalog).size_bytes().unwrap_or_default(),
            ..stats
        }
    }
}
