//! What all ways in share.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, spawn_blocking},
};
use tokio_util::sync::CancellationToken;

use super::{
    IngestCounters,
    limits::{LOG_INTERVAL, MEMORY_FACTOR, MEMORY_UNIT_BYTES, UPLOADS_AT_ONCE_MAX},
    senders::{SenderError, Senders},
    upload::UploadSequences,
};
use crate::{
    clock,
    config::LimitsConfig,
    service::{live::Live, store::Store},
    telemetry::{Alarms, Throttle},
};

/// Name of the alarm that says that the store has no room.
pub(super) const STORE_FULL: &str = "store_full";

/// What the ways in need.
pub struct IngestSettings {
    /// Where batches go.
    pub store: Arc<dyn Store>,
    /// Who is connected.
    pub live: Live,
    /// What one client may send.
    pub limits: LimitsConfig,
    /// File that remembers whose sender ids are; nothing outlives the process without.
    pub senders_file: Option<PathBuf>,
    /// Where a store without room is reported.
    pub alarms: Alarms,
    /// Cancelled when the service is being stopped.
    pub stop: CancellationToken,
}

/// What all ways in share.
pub struct Ingest {
    pub(super) store: Arc<dyn Store>,
    pub(super) live: Live,
    pub(super) limits: LimitsConfig,
    pub(super) senders: Senders,
    pub(super) counters: IngestCounters,
    pub(super) alarms: Alarms,
    pub(super) stop: CancellationToken,
    pub(super) uploads: Arc<Semaphore>,
    pub(super) upload_sequences: Mutex<UploadSequences>,
    decoding: Semaphore,
    memory: Arc<Semaphore>,
    memory_units: u32,
    log: Throttle,
}

impl Ingest {
    /// Makes ready.
    ///
    /// # Errors
    /// The file of senders cannot be used.
    pub fn new(settings: IngestSettings) -> Result<Self, SenderError> {
        let senders = Senders::open(settings.senders_file.as_deref(), &settings.limits)?;
        let memory_units = settings.limits.memory_mib.saturating_mul(1 << 10);
        let permits = usize::try_from(memory_units).unwrap_or(Semaphore::MAX_PERMITS);
        Ok(Self {
            store: settings.store,
            live: settings.live,
            limits: settings.limits,
            senders,
            counters: IngestCounters::default(),
            alarms: settings.alarms,
            stop: settings.stop,
            uploads: Arc::new(Semaphore::new(UPLOADS_AT_ONCE_MAX)),
            upload_sequences: Mutex::default(),
            decoding: Semaphore::new(threads()),
            memory: Arc::new(Semaphore::new(permits)),
            memory_units,
            log: Throttle::new(LOG_INTERVAL),
        })
    }

    /// What was taken and what was not.
    pub fn counters(&self) -> &IngestCounters {
        &self.counters
    }

    /// Waits for memory for a batch, first come, first served. It is given back with the permit.
    pub(super) async fn memory(&self, bytes: usize) -> OwnedSemaphorePermit {
        let units = (bytes.saturating_mul(MEMORY_FACTOR) / MEMORY_UNIT_BYTES).saturating_add(1);
        // A batch that is larger than all there is gets all there is.
        let units = u32::try_from(units)
            .unwrap_or(u32::MAX)
            .min(self.memory_units);
        let memory = Arc::clone(&self.memory).acquire_many_owned(units).await;
        memory.expect("the semaphore is never closed")
    }

    /// Runs work that decodes messages, on a thread that may take its time. As many at once as there
    /// are processors: more are not quicker, and each holds its message in several forms.
    ///
    /// # Errors
    /// The work panicked.
    pub(super) async fn decode<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let turn = self.decoding.acquire().await;
        let done = spawn_blocking(work).await;
        drop(turn);
        done
    }

    /// Notes that the store has no room.
    pub(super) fn note_full(&self, reason: &str) {
        self.counters.store_full.inc();
        let is_new = (self.alarms).raise(STORE_FULL, reason.to_owned(), clock::wall());
        if is_new {
            tracing::error!(reason, "the store is full; clients wait");
        }
    }

    /// Notes that the store has room.
    pub(super) fn note_room(&self) {
        if self.alarms.clear(STORE_FULL) {
            tracing::info!("the store has room again");
        }
    }

    /// Logs why a client was refused, if nothing was logged lately.
    pub(super) fn log_refusal(&self, who: &str, why: &str) {
        if let Some(held_back) = self.log.pass(clock::monotonic()) {
            tracing::warn!(who, why, held_back, "a client was refused");
        }
    }
}

/// Threads that decode at once.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
