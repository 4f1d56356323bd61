//! What the shipper did, for metrics and health.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// Counted while shipping goes on.
#[derive(Debug, Default)]
pub struct ShipCounters {
    pub(super) batches_taken: AtomicU64,
    pub(super) batches_sent: AtomicU64,
    pub(super) batches_acknowledged: AtomicU64,
    pub(super) message_bytes_sent: AtomicU64,
    pub(super) connects: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) is_connected: AtomicBool,
    pub(super) is_breaker_open: AtomicBool,
    pub(super) is_spool_failing: AtomicBool,
    pub(super) last_error: Mutex<Option<String>>,
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ShipState {
    /// Batches that were put into the spool.
    pub batches_taken: u64,
    /// Batches that were sent, those that were sent again included.
    pub batches_sent: u64,
    /// Batches that are durable at the service.
    pub batches_acknowledged: u64,
    /// Bytes of messages sent, before compression.
    pub message_bytes_sent: u64,
    /// Windows that never arrive.
    pub windows_lost: u64,
    /// Streams that the service welcomed.
    pub connects: u64,
    /// Streams that failed, or never came to be.
    pub failures: u64,
    /// A stream is open.
    pub is_connected: bool,
    /// After many failures, the service is only tried now and then.
    pub is_breaker_open: bool,
    /// The last batch could not be put into the spool.
    pub is_spool_failing: bool,
    /// Why the last stream failed.
    pub last_error: Option<String>,
    /// Bytes of the spool.
    pub spool_size_bytes: u64,
    /// Batches in the spool that are not known to be durable at the service.
    pub spool_batches: u64,
}

impl ShipCounters {
    /// The counters as they are.
    pub(super) fn state(&self) -> ShipState {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        ShipState {
            batches_taken: count(&self.batches_taken),
            batches_sent: count(&self.batches_sent),
            batches_acknowledged: count(&self.batches_acknowledged),
            message_bytes_sent: count(&self.message_bytes_sent),
            connects: count(&self.connects),
            failures: count(&self.failures),
            is_connected: is(&self.is_connected),
            is_breaker_open: is(&self.is_breaker_open),
            is_spool_failing: is(&self.is_spool_failing),
            last_error: (self.last_error.lock())
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            ..ShipState::default()
        }
    }

    /// A stream failed.
    pub(super) fn fail(&self, error: &dyn std::error::Error) {
        add(&self.failures, 1);
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(source) = cause {
            text = format!("{text}: {source}");
            cause = source.source();
        }
        tracing::info!(error = text, "not connected to the service");
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
