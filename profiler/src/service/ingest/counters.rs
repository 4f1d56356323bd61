//! What was taken and what was not.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// What was taken and what was not, since the start.
#[derive(Clone, Debug, Default)]
pub struct IngestCounters {
    /// Streams that are open.
    pub streams: Gauge,
    /// Batches that the store took.
    pub batches: Counter,
    /// Their bytes, unpacked.
    pub bytes: Counter,
    /// Weighted stacks in them.
    pub stacks: Counter,
    /// Numbers that were acknowledged, batches.
    pub acknowledged: Counter,
    /// Uploads that became durable, over OTLP or as pprof.
    pub uploads: Counter,
    /// Messages and uploads that could not be read.
    pub malformed: Counter,
    /// Streams refused because their sender's id belongs to someone else.
    pub stolen: Counter,
    /// Streams that gave way to a later one of the same sender.
    pub replaced: Counter,
    /// Streams dropped because nothing came, or answers were not taken.
    pub idle: Counter,
    /// Times that a client was told to slow down.
    pub slow_downs: Counter,
    /// Times that the store had no room.
    pub store_full: Counter,
    /// Times that definitions were asked for again.
    pub missing: Counter,
}

impl IngestCounters {
    /// Makes them part of the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "ingest_streams",
            "Streams that are open",
            self.streams.clone(),
        );
        let counters = [
            ("ingest_batches", "Batches taken", &self.batches),
            ("ingest_bytes", "Bytes of batches, unpacked", &self.bytes),
            ("ingest_stacks", "Weighted stacks taken", &self.stacks),
            (
                "ingest_acknowledged",
                "Batches acknowledged",
                &self.acknowledged,
            ),
            ("ingest_uploads", "Uploads made durable", &self.uploads),
            (
                "ingest_malformed",
                "Messages that could not be read",
                &self.malformed,
            ),
            (
                "ingest_stolen",
                "Streams with a sender id of another client",
                &self.stolen,
            ),
            (
                "ingest_replaced",
                "Streams replaced by a later one",
                &self.replaced,
            ),
            (
                "ingest_idle",
                "Streams dropped because nothing moved",
                &self.idle,
            ),
            (
                "ingest_slow_downs",
                "Times a client was told to slow down",
                &self.slow_downs,
            ),
            (
                "ingest_store_full",
                "Times the store had no room",
                &self.store_full,
            ),
            (
                "ingest_missing",
                "Times definitions were asked for again",
                &self.missing,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
    }
}
