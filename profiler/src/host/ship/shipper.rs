//! The public face: takes batches, ships them on a thread of its own.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use prost::Message as _;
use tokio::{runtime, sync::Notify, time};
use tonic::Code;

pub use super::connect::Target;
use super::{
    backoff::Backoff,
    counters::{ShipCounters, ShipState, add},
    error::ShipError,
    limits::REFUSALS_MAX,
    split::split,
    spool::Spool,
    stream::{self, End},
};
use crate::{
    clock,
    model::{Batch, BurstOrder},
    wire::v1::encode_batch,
};

/// Level of compression in the spool: the library's default.
const COMPRESSION_LEVEL: i32 = 3;
/// Time between two looks at whether the time to stop is over.
const STOP_TICK: Duration = Duration::from_millis(50);

/// Takes an order of the service. Must not wait.
pub type TakeBurst = Box<dyn Fn(BurstOrder) + Send + Sync>;

/// What the one who pushes and the thread that ships share.
pub(super) struct Shared {
    spool: Mutex<Spool>,
    target: Mutex<Target>,
    is_retargeted: AtomicBool,
    /// There is something new to send, or to know.
    pub(super) wake: Notify,
    /// When to end, by the monotonic clock, in nanoseconds; zero while that is not wanted.
    stop_at_ns: AtomicU64,
    /// The batch that the service refused as malformed, and how often.
    refusals: Mutex<(u64, u32)>,
    /// Name of this host.
    pub(super) host: String,
    /// Takes orders of the service; absent when it is to give none.
    pub(super) take_burst: Option<TakeBurst>,
    /// What was done.
    pub(super) counters: ShipCounters,
}

/// Ships batches through a spool.
pub struct Shipper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Shipper {
    /// Opens the spool in a folder and starts to ship what waits there. Orders of the service go to
    /// `take_burst`; without it the service is told to give none.
    ///
    /// # Errors
    /// A spool that cannot be used. A service that is away is no error.
    pub fn start(
        dir: &Path,
        spool_size_bytes_max: u64,
        host: String,
        target: Target,
        take_burst: Option<TakeBurst>,
    ) -> Result<Self, ShipError> {
        let shared = Arc::new(Shared {
            spool: Mutex::new(Spool::open(dir, spool_size_bytes_max)?),
            target: Mutex::new(target),
            is_retargeted: AtomicBool::new(false),
            wake: Notify::new(),
            stop_at_ns: AtomicU64::new(0),
            refusals: Mutex::default(),
            host,
            take_burst,
            counters: ShipCounters::default(),
        });
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ShipError::Thread)?;
        let thread = thread::Builder::new().name("ship".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = ship(&shared) => {}
                        () = until_over(&shared) => {}
                    }
                });
            }
        });
        Ok(Self {
            shared,
            thread: Some(thread.map_err(ShipError::Thread)?),
        })
    }

    /// Takes a batch that can be understood by itself. Waits for the disk, never for the network. A
    /// batch that the disk does not take is counted as lost, and the next one says so.
    pub fn push(&self, batch: Batch) {
        for part in split(batch) {
            self.push_part(part);
        }
        self.shared.wake.notify_one();
    }

    /// Takes one batch that the service takes.
    fn push_part(&self, mut batch: Batch) {
        let counters = &self.shared.counters;
        let mut spool = self.shared.spool();
        let dropped = spool.take_dropped();
        if let Some(window) = batch.windows.first_mut() {
            window.quality.windows_lost += dropped;
        }
        let lost_before = batch
            .windows
            .iter()
            .map(|window| window.quality.windows_lost);
        let windows = batch.windows.len() as u64 + lost_before.sum::<u64>();
        let message = encode_batch(spool.next_sequence(), &batch).encode_to_vec();
        let payload = zstd::bulk::compress(&message, COMPRESSION_LEVEL)
            .expect("compressing memory to memory fails only without memory");
        let appended = spool.append(&payload, windows);
        (counters.is_spool_failing).store(appended.is_err(), Ordering::Relaxed);
        match appended {
            Ok(_sequence) => add(&counters.batches_taken, 1),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a window is lost: the spool does not take it"
                );
                spool.count_dropped(windows);
            }
        }
    }

    /// Ships to another service, or with another token, from now on.
    pub fn retarget(&self, target: Target) {
        *lock(&self.shared.target) = target;
        self.shared.is_retargeted.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }

    /// What was done so far.
    pub fn state(&self) -> ShipState {
        let spool = self.shared.spool();
        ShipState {
            spool_size_bytes: spool.size_bytes(),
            spool_batches: spool.waiting(),
            windows_lost: spool.lost(),
            ..self.shared.counters.state()
        }
    }

    /// Ships what waits for at most so long; the rest stays in the spool for the next run. Returns
    /// what was done.
    pub fn stop(mut self, patience: Duration) -> ShipState {
        self.end(patience);
        self.shared.spool().close();
        self.state()
    }

    /// Ends the thread.
    fn end(&mut self, patience: Duration) {
        let stop_at = clock::monotonic() + patience;
        let stop_at_ns = u64::try_from(stop_at.as_nanos()).unwrap_or(u64::MAX);
        self.shared.stop_at_ns.store(stop_at_ns, Ordering::Release);
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the thread that ships panicked");
        }
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

impl Shared {
    /// The spool.
    pub(super) fn spool(&self) -> MutexGuard<'_, Spool> {
        lock(&self.spool)
    }

    /// Where to ship to.
    pub(super) fn target(&self) -> Target {
        self.is_retargeted.store(false, Ordering::Release);
        lock(&self.target).clone()
    }

    /// Whether that has changed since it was last asked for.
    pub(super) fn take_retargeted(&self) -> bool {
        self.is_retargeted.load(Ordering::Acquire)
    }

    /// Whether the daemon wants to end.
    pub(super) fn is_stopping(&self) -> bool {
        0 < self.stop_at_ns.load(Ordering::Acquire)
    }

    /// Whether the time to end is over.
    fn is_over(&self) -> bool {
        let stop_at_ns = self.stop_at_ns.load(Ordering::Acquire);
        0 < stop_at_ns && u128::from(stop_at_ns) <= clock::monotonic().as_nanos()
    }

    /// A stream was welcomed, or ended.
    pub(super) fn connected(&self, is_connected: bool) {
        (self.counters.is_connected).store(is_connected, Ordering::Relaxed);
        if is_connected {
            add(&self.counters.connects, 1);
            tracing::info!("connected to the service");
        }
    }

    /// Gives a batch up; the next window says so.
    pub(super) fn give_up(&self, sequence: u64) {
        self.spool().give_up(sequence);
    }

    /// The service ended a stream; `first` is the first batch that it had not acknowledged. One that
    /// it refuses as malformed again and again would hold up all others for ever.
    pub(super) fn refused(&self, code: Code, first: u64) {
        if !matches!(code, Code::InvalidArgument | Code::OutOfRange) {
            return;
        }
        let mut refusals = lock(&self.refusals);
        let times = if refusals.0 == first {
            refusals.1 + 1
        } else {
            1
        };
        *refusals = (first, times);
        if REFUSALS_MAX <= times {
            tracing::warn!(
                sequence = first,
                "the service refuses a batch; it is given up"
            );
            self.give_up(first);
        }
    }
}

/// Ships until nothing is left and the daemon wants to end.
async fn ship(shared: &Shared) {
    let mut backoff = Backoff::default();
    loop {
        let mut progressed = false;
        let end = stream::run(shared, &mut progressed).await;
        if progressed {
            backoff.succeeded();
        }
        let pause = match end {
            Ok(End::Drained) => return,
            Ok(End::Retargeted) => Duration::ZERO,
            Err(error) => {
                shared.counters.fail(&error);
                backoff.failed(rand::random())
            }
        };
        (shared.counters.is_breaker_open).store(backoff.is_open(), Ordering::Relaxed);
        wait(shared, pause).await;
    }
}

/// Waits so long, or until there is another service to try.
async fn wait(shared: &Shared, pause: Duration) {
    let until = clock::monotonic() + pause;
    while clock::monotonic() < until && !shared.take_retargeted() {
        let rest = until.saturating_sub(clock::monotonic());
        tokio::select! {
            () = time::sleep(rest) => {}
            () = shared.wake.notified() => {}
        }
    }
}

/// Waits until the daemon wants to end, and nothing is left or the time for it is over.
async fn until_over(shared: &Shared) {
    while !shared.is_over() && (!shared.is_stopping() || 0 < shared.spool().waiting()) {
        time::sleep(STOP_TICK).await;
    }
}

/// Locks; nothing that is locked can be left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
