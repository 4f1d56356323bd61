//! Numbers that are read when they are asked for.

use std::sync::Arc;

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

use super::{
    live::Live,
    query::{CacheStats, Reader},
    store::{EmbeddedStore, StoreStats},
};

/// A number of the store: name, help, and where it is.
type StoreNumber = (&'static str, &'static str, fn(&StoreStats) -> u64);

/// Numbers of the store.
const STORE_NUMBERS: [StoreNumber; 25] = [
    ("store_batches", "Batches made durable", |s| s.batches),
    ("store_batches_repeated", "Batches that came again", |s| {
        s.batches_repeated
    }),
    ("store_rows_taken", "Rows taken", |s| s.rows_taken),
    ("store_rows_stored", "Rows in parts as they came", |s| {
        s.rows_stored
    }),
    ("store_rows_in_memory", "Rows in memory", |s| {
        s.rows_in_memory
    }),
    ("store_memory_bytes", "Bytes of rows in memory", |s| {
        s.memory_bytes
    }),
    ("store_parts", "Parts", |s| s.parts),
    ("store_samples_bytes", "Bytes of values by stack", |s| {
        s.samples_bytes
    }),
    ("store_totals_bytes", "Bytes of values without stack", |s| {
        s.totals_bytes
    }),
    ("store_hosts_bytes", "Bytes of quality", |s| s.hosts_bytes),
    ("store_definitions_bytes", "Bytes of definitions", |s| {
        s.definitions_bytes
    }),
    ("store_wal_bytes", "Bytes of the log", |s| s.wal_bytes),
    ("store_catalog_bytes", "Bytes of the catalogue", |s| {
        s.catalog_bytes
    }),
    ("store_frames", "Frames that are defined", |s| s.frames),
    ("store_stacks", "Stacks that are defined", |s| s.stacks),
    ("store_series", "Series that are known", |s| s.series),
    ("store_hash_collisions", "Ids that two hashes share", |s| {
        s.hash_collisions
    }),
    ("store_cache_hits", "Feet of parts found in memory", |s| {
        s.cache_hits
    }),
    ("store_cache_misses", "Feet of parts read", |s| {
        s.cache_misses
    }),
    (
        "store_corrupt_records",
        "Places of the log without a good record",
        |s| s.corrupt_records,
    ),
    (
        "store_torn_bytes",
        "Bytes of torn writes cut off the log",
        |s| s.torn_bytes,
    ),
    ("store_full_events", "Times there was no room", |s| {
        s.full_events
    }),
    ("store_flushes", "Times rows were written as parts", |s| {
        s.flushes
    }),
    ("store_compactions", "Hours that were merged", |s| {
        s.compactions
    }),
    ("store_parts_dropped", "Parts that retention dropped", |s| {
        s.parts_dropped
    }),
];

/// A number of the cache of answers: name, help, and where it is.
type CacheNumber = (&'static str, &'static str, fn(&CacheStats) -> u64);

/// Numbers of the cache of answers.
const CACHE_NUMBERS: [CacheNumber; 5] = [
    ("query_cache_hits", "Answers that were cached", |s| s.hits),
    ("query_cache_misses", "Answers that were not cached", |s| {
        s.misses
    }),
    ("query_uncacheable", "Reads that no cache can answer", |s| {
        s.uncacheable
    }),
    ("query_cache_entries", "Answers in the cache", |s| s.entries),
    ("query_cache_bytes", "Memory of the cache", |s| s.size_bytes),
];

/// Numbers that are read when they are asked for.
pub(super) struct Gauges {
    reader: Arc<Reader>,
    live: Live,
    embedded: Option<Arc<EmbeddedStore>>,
    connected: Gauge,
    cache: [Gauge; CACHE_NUMBERS.len()],
    store: [Gauge; STORE_NUMBERS.len()],
}

impl Gauges {
    /// Makes them part of the metrics.
    pub(super) fn new(
        registry: &mut Registry,
        reader: Arc<Reader>,
        live: Live,
        embedded: Option<Arc<EmbeddedStore>>,
    ) -> Self {
        let gauges = Self {
            reader,
            live,
            embedded,
            connected: Gauge::default(),
            cache: Default::default(),
            store: std::array::from_fn(|_index| Gauge::default()),
        };
        let help = "Daemons that are connected";
        registry.register("daemons_connected", help, gauges.connected.clone());
        for ((name, help, _), gauge) in CACHE_NUMBERS.iter().zip(&gauges.cache) {
            registry.register(*name, *help, gauge.clone());
        }
        if gauges.embedded.is_some() {
            for ((name, help, _), gauge) in STORE_NUMBERS.iter().zip(&gauges.store) {
                registry.register(*name, *help, gauge.clone());
            }
        }
        gauges
    }

    /// Reads the numbers.
    pub(super) fn read(&self) {
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&self.connected, self.live.connected_count() as u64);
        let cache = self.reader.cache_stats();
        for ((_, _, number), gauge) in CACHE_NUMBERS.iter().zip(&self.cache) {
            set(gauge, number(&cache));
        }
        if let Some(store) = &self.embedded {
            let stats = store.stats();
            for ((_, _, number), gauge) in STORE_NUMBERS.iter().zip(&self.store) {
                set(gauge, number(&stats));
            }
        }
    }
}
