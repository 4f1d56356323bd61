//! Counts of what the engine did, and feet of parts that are kept in memory.

use std::{
    collections::HashMap,
    fs::File,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use super::{files::file_error, part::Part};
use crate::service::store::{StoreError, limits};

/// One count.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(super) fn bump(&self) {
        self.add(1);
    }

    /// Some more.
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many.
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What happened since the store was opened.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Batches that were made durable.
    pub(super) batches: Counter,
    /// Batches that came again.
    pub(super) batches_repeated: Counter,
    /// Rows taken.
    pub(super) rows_taken: Counter,
    /// Damaged places of the log.
    pub(super) corrupt_records: Counter,
    /// Bytes cut off the log.
    pub(super) torn_bytes: Counter,
    /// Parts that were left out.
    pub(super) parts_unreadable: Counter,
    /// Times there was no room.
    pub(super) full_events: Counter,
    /// Flushes.
    pub(super) flushes: Counter,
    /// Merged hours.
    pub(super) compactions: Counter,
    /// Parts that retention dropped.
    pub(super) parts_dropped: Counter,
    /// Feet found in memory.
    pub(super) cache_hits: Counter,
    /// Feet read.
    pub(super) cache_misses: Counter,
}

/// Feet of parts: where their row groups are and what is in them.
#[derive(Debug, Default)]
pub(super) struct Feet {
    /// By file.
    known: Mutex<HashMap<PathBuf, ArrowReaderMetadata>>,
}

impl Feet {
    /// The foot of a part.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn of(
        &self,
        part: &Part,
        counters: &Counters,
    ) -> Result<ArrowReaderMetadata, StoreError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(&part.path).cloned();
        drop(known);
        if let Some(found) = found {
            counters.cache_hits.bump();
            return Ok(found);
        }
        counters.cache_misses.bump();
        let file = File::open(&part.path).map_err(|error| file_error(&part.path, &error))?;
        let foot = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .map_err(|error| file_error(&part.path, &error))?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if limits::CACHED_FEET_MAX <= known.len() {
            // Rare and cheap to fill again; an order of use would cost more than it saves.
            known.clear();
        }
        known.insert(part.path.clone(), foot.clone());
        Ok(foot)
    }

    /// Forgets the foot of a part that is gone.
    pub(super) fn forget(&self, part: &Part) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&part.path);
    }
}
