//! What can be set, and what can be seen from outside.

use std::time::Duration;

/// How a store works.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Longest time a batch waits for others that are made durable with it.
    pub commit_interval: Duration,
    /// Bytes of waiting batches that are made durable at once.
    pub commit_bytes: usize,
    /// Size after which the log goes on in a new segment.
    pub segment_bytes: u64,
    /// Memory of rows after which they are written as parts.
    pub flush_bytes: usize,
    /// Age after which rows in memory are written as parts.
    pub flush_age: Duration,
    /// Memory of rows after which batches are refused.
    pub memory_bytes_max: usize,
    /// Bytes on disk after which the oldest hours are dropped; `None` for no bound.
    pub disk_bytes_max: Option<u64>,
    /// How long windows are kept as they came.
    pub keep_raw: Duration,
    /// How long sums by minute are kept.
    pub keep_minutes: Duration,
    /// How long sums by hour are kept.
    pub keep_hours: Duration,
    /// Parts of one hour after which they are merged before the hour is over.
    pub merge_parts: usize,
    /// How long after its end an hour is merged.
    pub merge_delay: Duration,
    /// Threads of one query; zero for one each processor.
    pub query_threads: usize,
    /// How often a thread of the store's own does the upkeep; `None` for never.
    pub upkeep_interval: Option<Duration>,
}

/// A day.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            commit_interval: Duration::from_millis(200),
            commit_bytes: 1 << 20,
            segment_bytes: 64 << 20,
            flush_bytes: 64 << 20,
            flush_age: Duration::from_secs(5 * 60),
            memory_bytes_max: 512 << 20,
            disk_bytes_max: None,
            keep_raw: 7 * DAY,
            keep_minutes: 90 * DAY,
            keep_hours: 730 * DAY,
            merge_parts: 12,
            merge_delay: Duration::from_secs(10 * 60),
            query_threads: 0,
            upkeep_interval: Some(Duration::from_secs(5)),
        }
    }
}

/// Whether a store does its work.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StoreHealth {
    /// Set while there is no room; the next write that succeeds clears it.
    pub full: Option<String>,
    /// The last error of the upkeep; the next one that succeeds clears it.
    pub upkeep_error: Option<String>,
}

/// Numbers for `/metrics`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StoreStats {
    /// Batches that were made durable.
    pub batches: u64,
    /// Batches that came again and were not counted again.
    pub batches_repeated: u64,
    /// Rows taken: one for each value of a stack of a window.
    pub rows_taken: u64,
    /// Rows in parts as they came (not the sums).
    pub rows_stored: u64,
    /// Rows in memory.
    pub rows_in_memory: u64,
    /// Bytes of the rows in memory.
    pub memory_bytes: u64,
    /// Number of parts.
    pub parts: u64,
    /// Bytes of parts with values by stack.
    pub samples_bytes: u64,
    /// Bytes of parts with values without stack.
    pub totals_bytes: u64,
    /// Bytes of parts with quality.
    pub hosts_bytes: u64,
    /// Bytes of definitions.
    pub definitions_bytes: u64,
    /// Bytes of the log.
    pub wal_bytes: u64,
    /// Bytes of the catalogue.
    pub catalog_bytes: u64,
    /// Frames that are defined.
    pub frames: u64,
    /// Stacks that are defined.
    pub stacks: u64,
    /// Series that are known.
    pub series: u64,
    /// Ids that two different hashes share; they are kept apart.
    pub hash_collisions: u64,
    /// Feet of parts that were in memory when a query asked.
    pub cache_hits: u64,
    /// Feet of parts that had to be read.
    pub cache_misses: u64,
    /// Places of the log without a good record.
    pub corrupt_records: u64,
    /// Bytes of torn writes that were cut off the log.
    pub torn_bytes: u64,
    /// Parts that are listed but are not there, not whole or cannot be read: left out.
    pub parts_unreadable: u64,
    /// Times there was no room.
    pub full_events: u64,
    /// Times rows were written as parts.
    pub flushes: u64,
    /// Hours that were merged.
    pub compactions: u64,
    /// Parts that retention dropped.
    pub parts_dropped: u64,
}
