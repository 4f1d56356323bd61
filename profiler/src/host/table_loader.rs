//! Object files to unwind tables in the kernel, on threads of their own.
//!
//! Part of the composition root: it joins `object`, `unwind` and `probe`.

use std::{
    collections::HashSet,
    fs::{self, File},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use profiler_common::unwind_row::RuleCode;

use super::{
    probe::KernelTables,
    unwind::{self, TableCache, UnwindTable},
};
use crate::model::{BuildId, ObjectId};

/// Threads that compile. Two keep one large file from holding up the small ones behind it.
const WORKERS: usize = 2;
/// Bytes of compiled tables kept on disk: 30 times what 14 large binaries need.
const CACHE_SIZE_BYTES_MAX: u64 = 512 << 20;
/// Bytes of tables in the kernel; an object past it gets none, and that is counted.
const KERNEL_SIZE_BYTES_MAX: u64 = 256 << 20;

/// Where the bytes of an object are.
#[derive(Clone, Debug)]
pub(super) enum ObjectBytes {
    /// In an open file.
    File(Arc<File>),
    /// In memory: the vDSO.
    Image(Arc<[u8]>),
}

/// One object to compile.
#[derive(Debug)]
struct Job {
    object: ObjectId,
    build_id: Option<BuildId>,
    bytes: ObjectBytes,
}

/// What the workers share.
struct Shared {
    tables: Mutex<KernelTables>,
    cache: Option<TableCache>,
    /// Jobs handed out and not finished.
    pending: Mutex<usize>,
    idle: Condvar,
    /// Objects whose table could not be made or loaded.
    refused: AtomicU64,
}

/// Compiles tables and loads them into the kernel.
pub(super) struct TableLoader {
    jobs: Option<Sender<Job>>,
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    asked: HashSet<ObjectId>,
}

impl TableLoader {
    /// Starts the workers. `cache_dir` keeps compiled tables for the next run.
    pub(super) fn start(tables: KernelTables, cache_dir: Option<PathBuf>) -> Self {
        let cache = cache_dir.and_then(|dir| open_cache(&dir));
        let shared = Arc::new(Shared {
            tables: Mutex::new(tables),
            cache,
            pending: Mutex::new(0),
            idle: Condvar::new(),
            refused: AtomicU64::new(0),
        });
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let spawn = |_number| {
            let (shared, queue) = (Arc::clone(&shared), Arc::clone(&queue));
            thread::spawn(move || work(&shared, &queue))
        };
        let workers = (0..WORKERS).map(spawn).collect();
        Self {
            jobs: Some(jobs),
            shared,
            workers,
            asked: HashSet::new(),
        }
    }

    /// Asks for the table of an object, once. The queue is bounded by the slots of the kernel.
    pub(super) fn ask(&mut self, object: ObjectId, build_id: Option<BuildId>, bytes: ObjectBytes) {
        if KernelTables::SLOTS <= object.0 || !self.asked.insert(object) {
            return;
        }
        *lock(&self.shared.pending) += 1;
        let job = Job {
            object,
            build_id,
            bytes,
        };
        if let Some(jobs) = &self.jobs {
            jobs.send(job).expect("workers live as long as the sender");
        }
    }

    /// Waits until every table asked for is loaded, or the time is over.
    pub(super) fn wait_idle(&self, at_most: Duration) {
        let pending = lock(&self.shared.pending);
        let waited = self
            .shared
            .idle
            .wait_timeout_while(pending, at_most, |pending| 0 < *pending);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Objects that have no table because it could not be made or loaded.
    pub(super) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Bytes of tables in the kernel, and distinct rules.
    pub(super) fn kernel_use(&self) -> (u64, usize) {
        let tables = lock(&self.shared.tables);
        (tables.size_bytes(), tables.rules())
    }
}

impl Drop for TableLoader {
    fn drop(&mut self) {
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // A worker that panicked has said so; there is nothing to add here.
            drop(worker.join());
        }
    }
}

/// The slot of an object's table: its own number.
pub(super) fn slot_of(object: ObjectId) -> Option<u32> {
    (object.0 < KernelTables::SLOTS).then_some(object.0)
}

/// Opens the cache; without it everything works, only slower, so a failure is a warning.
fn open_cache(dir: &std::path::Path) -> Option<TableCache> {
    let cache = fs::create_dir_all(dir)
        .map_err(|error| error.to_string())
        .and_then(|()| {
            TableCache::open(dir, CACHE_SIZE_BYTES_MAX).map_err(|error| error.to_string())
        });
    match cache {
        Ok(cache) => Some(cache),
        Err(error) => {
            tracing::warn!(dir = %dir.display(), error, "unwind tables are not kept on disk");
            None
        }
    }
}

/// Takes jobs until there are no more.
fn work(shared: &Shared, queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = lock(queue).recv();
        let Ok(job) = job else { return };
        if !load_one(shared, &job) {
            shared.refused.fetch_add(1, Ordering::Relaxed);
        }
        let mut pending = lock(&shared.pending);
        *pending -= 1;
        if *pending == 0 {
            shared.idle.notify_all();
        }
    }
}

/// Makes one table and loads it. An object without a usable one gets an empty table, which tells
/// the probe to try frame pointers; returns whether it got a real one.
fn load_one(shared: &Shared, job: &Job) -> bool {
    let table = find_or_compile(shared, job);
    let mut tables = lock(&shared.tables);
    if KERNEL_SIZE_BYTES_MAX < tables.size_bytes() {
        return false;
    }
    let chunks = match &table {
        Some(table) => table.encode(&mut |rule| tables.assign_rule(rule)),
        None => UnwindTable::default().encode(&mut |_rule| RuleCode::Unsupported),
    };
    let loaded = tables.load(job.object.0, &chunks);
    if let Err(error) = &loaded {
        tracing::warn!(object = job.object.0, %error, "unwind table not loaded");
    }
    loaded.is_ok() && table.is_some()
}

/// The table of an object, from the cache or from its file.
fn find_or_compile(shared: &Shared, job: &Job) -> Option<UnwindTable> {
    let key = shared.cache.as_ref().zip(job.build_id.as_ref());
    if let Some(table) = key.and_then(|(cache, build_id)| cache.load(build_id)) {
        return Some(table);
    }
    let compiled = match &job.bytes {
        ObjectBytes::File(file) => unwind::compile(&object::ReadCache::new(&**file)),
        ObjectBytes::Image(image) => unwind::compile(&**image),
    };
    match compiled {
        Ok(table) => {
            if let Some((cache, build_id)) = key
                && let Err(error) = cache.save(build_id, &table)
            {
                tracing::debug!(%build_id, %error, "unwind table not kept on disk");
            }
            Some(table)
        }
        Err(error) => {
            tracing::debug!(object = job.object.0, %error, "no unwind table");
            None
        }
    }
}

/// Locks; a worker that panicked leaves counters and tables that are still true.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
