//! Who may work now, and for how long: deadlines, cancellation, a bounded number of workers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tonic::metadata::MetadataMap;

use crate::{
    clock,
    service::{
        query::{
            QueryError,
            limits::{
                ANSWER_TIME_MAX, ROWS_READ_MAX, WAIT_TIME_MAX, WAITING_MAX, WORKERS_PER_CORE,
            },
        },
        store::{QueryLimits, StoreError},
    },
};

/// Header in which a client says how long it waits.
const TIMEOUT_HEADER: &str = "grpc-timeout";
/// Most digits that such a time has, by the protocol.
const TIMEOUT_DIGITS_MAX: usize = 8;

/// Lets a bounded number of answers be worked out at once.
#[derive(Clone, Debug)]
pub struct Gate {
    workers: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Default for Gate {
    /// A gate as wide as this machine.
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::of_width(cores * WORKERS_PER_CORE)
    }
}

impl Gate {
    /// A gate for so many workers.
    fn of_width(workers: usize) -> Self {
        Self {
            workers: Arc::new(Semaphore::new(workers)),
            waiting: Arc::default(),
        }
    }

    /// Works an answer out on a thread that may block. The work is told to stop when `allowed` is
    /// over, and when this future is dropped: nobody waits any more then.
    ///
    /// # Errors
    /// Those of the work; too many others; out of time.
    pub async fn run<T: Send + 'static>(
        &self,
        allowed: Duration,
        work: impl FnOnce(&QueryLimits) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        if allowed.is_zero() {
            return Err(StoreError::Cancelled.into());
        }
        let began = clock::monotonic();
        let permit = self.enter(allowed.min(WAIT_TIME_MAX)).await?;
        let deadline = began.saturating_add(allowed);
        let cancelled = CancelOnDrop(Arc::default());
        let limits = QueryLimits {
            rows_max: ROWS_READ_MAX,
            cancelled: Arc::clone(&cancelled.0),
            deadline: Some(deadline),
        };
        let worker = tokio::task::spawn_blocking(move || {
            // The place is free when the work ends, not when nobody waits for it any more.
            let _permit = permit;
            work(&limits)
        });
        let left = deadline.saturating_sub(clock::monotonic());
        match timeout(left, worker).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panic)) => {
                tracing::error!(%panic, "an answer could not be worked out");
                Err(QueryError::Bug)
            }
            Err(_elapsed) => Err(StoreError::Cancelled.into()),
        }
    }

    /// Waits for a free worker.
    async fn enter(&self, patience: Duration) -> Result<OwnedSemaphorePermit, QueryError> {
        if let Ok(permit) = Arc::clone(&self.workers).try_acquire_owned() {
            return Ok(permit);
        }
        let waiting = Waiting::new(&self.waiting);
        if waiting.before >= WAITING_MAX {
            return Err(QueryError::Busy {
                waiting: waiting.before,
            });
        }
        match timeout(patience, Arc::clone(&self.workers).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed; a closed one would have no worker either.
            Ok(Err(_)) | Err(_) => Err(QueryError::Waited { waited: patience }),
        }
    }
}

/// One of those who wait, for as long as it lives.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    /// How many waited before it.
    before: usize,
}

impl<'a> Waiting<'a> {
    /// Begins to wait.
    fn new(count: &'a AtomicUsize) -> Self {
        let before = count.fetch_add(1, Ordering::Relaxed);
        Self { count, before }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells the work to stop when nobody waits for it.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How long a client waits: what it says, within our own bound.
pub(super) fn allowed(metadata: &MetadataMap) -> Duration {
    let said = (metadata.get(TIMEOUT_HEADER))
        .and_then(|value| value.to_str().ok())
        .and_then(parse_timeout);
    said.map_or(ANSWER_TIME_MAX, |said| said.min(ANSWER_TIME_MAX))
}

/// Reads a time as the protocol writes it: up to eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (place, unit) = text.char_indices().next_back()?;
    let digits = text.get(..place)?;
    let are_digits = digits.bytes().all(|digit| digit.is_ascii_digit());
    if !are_digits || TIMEOUT_DIGITS_MAX < digits.len() {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        'H' => Duration::from_secs(number.saturating_mul(3_600)),
        'M' => Duration::from_secs(number.saturating_mul(60)),
        'S' => Duration::from_secs(number),
        'm' => Duration::from_millis(number),
        'u' => Duration::from_micros(number),
        'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{atomic::Ordering, mpsc},
        time::Duration,
    };

    use super::{Gate, parse_timeout};
    use crate::service::{query::QueryError, store::StoreError};

    #[test]
    fn timeouts_are_read_as_the_protocol_writes_them() {
        let seconds = |text| parse_timeout(text).map(|time| time.as_secs_f64());
        assert_eq!(Some(7200.0), seconds("2H"));
        assert_eq!(Some(0.25), seconds("250m"));
        assert_eq!(Some(99_999_999.0), seconds("99999999S"));
        for bad in ["", "S", "1", "-1S", "100000000S", "1s", "é"] {
            assert_eq!(None, parse_timeout(bad), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn work_is_told_to_stop_when_nobody_waits_for_it() {
        let gate = Gate::of_width(1);
        let (told, stopped) = mpsc::channel();
        let work = gate.run(Duration::from_millis(20), move |limits| {
            while !limits.cancelled.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            told.send(()).unwrap();
            Ok(())
        });
        let error = work.await.unwrap_err();
        assert!(matches!(error, QueryError::Store(StoreError::Cancelled)));
        tokio::task::spawn_blocking(move || stopped.recv().unwrap())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn who_waits_too_long_for_a_worker_is_told() {
        let gate = Gate::of_width(1);
        let permit = gate.enter(Duration::ZERO).await.unwrap();
        let waited = gate.run(Duration::from_millis(5), |_limits| Ok(())).await;
        assert!(matches!(waited, Err(QueryError::Waited { .. })));
        drop(permit);
        gate.run(Duration::from_secs(5), |_limits| Ok(()))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_bug_in_an_answer_is_an_error_of_this_answer_alone() {
        let gate = Gate::of_width(1);
        let bug = gate.run(Duration::from_secs(5), |_limits| -> Result<(), _> {
            panic!("a bug")
        });
        assert!(matches!(bug.await, Err(QueryError::Bug)));
        gate.run(Duration::from_secs(5), |_limits| Ok(()))
            .await
            .unwrap();
    }
}
