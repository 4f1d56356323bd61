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
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    object::shared_bytes,
    probe::{KernelRules, KernelTables, PreparedTable},
    slots::Slots,
    unwind::{self, TableCache, UnwindTable},
};
use crate::model::{BuildId, ObjectId};

/// Threads that compile. Two keep one large file from holding up the small ones behind it.
const COMPILERS: usize = 2;
/// Threads that publish. Each waits 5 to 20 ms a table for the kernel; together they wait once.
const PUBLISHERS: usize = 16;
/// Tables that wait to be published. They are in the kernel's memory already.
const PUBLISH_QUEUE: usize = 64;
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
    slot: u32,
    build_id: Option<BuildId>,
    bytes: ObjectBytes,
}

/// What the compilers are asked for.
enum Order {
    /// To compile a table.
    Compile(Job),
    /// To hand on that the table of a slot is not needed any more.
    Withdraw(u32),
}

/// What the publishers are asked for.
enum Ready {
    /// To make a table in the kernel known to the probe.
    Publish { job: Job, table: PreparedTable },
    /// To empty a slot.
    Withdraw(u32),
}

/// What the threads share.
struct Shared {
    slots: Mutex<Slots>,
    rules: Mutex<KernelRules>,
    tables: KernelTables,
    cache: Option<TableCache>,
    /// Objects whose job was handed out and is not finished.
    pending: Mutex<HashSet<ObjectId>>,
    idle: Condvar,
    /// Objects whose table could not be made or loaded.
    refused: AtomicU64,
}

/// Compiles tables and loads them into the kernel.
pub(super) struct TableLoader {
    jobs: Option<Sender<Order>>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Objects to forget whose table is still being made.
    forgotten_early: HashSet<ObjectId>,
}

impl TableLoader {
    /// Starts the threads. `cache_dir` keeps compiled tables for the next run.
    pub(super) fn start(
        rules: KernelRules,
        tables: KernelTables,
        cache_dir: Option<PathBuf>,
    ) -> Self {
        let shared = Arc::new(Shared {
            slots: Mutex::new(Slots::new(KernelTables::SLOTS)),
            rules: Mutex::new(rules),
            tables,
            cache: cache_dir.and_then(|dir| open_cache(&dir)),
            pending: Mutex::default(),
            idle: Condvar::new(),
            refused: AtomicU64::new(0),
        });
        let (jobs, waiting_jobs) = channel();
        let (ready, waiting_tables) = sync_channel(PUBLISH_QUEUE);
        let waiting_jobs = Arc::new(Mutex::new(waiting_jobs));
        let waiting_tables = Arc::new(Mutex::new(waiting_tables));
        let compiler = |_number| {
            let (shared, jobs, ready) = (
                Arc::clone(&shared),
                Arc::clone(&waiting_jobs),
                ready.clone(),
            );
            thread::spawn(move || compile_all(&shared, &jobs, &ready))
        };
        let publisher = |_number| {
            let (shared, tables) = (Arc::clone(&shared), Arc::clone(&waiting_tables));
            thread::spawn(move || publish_all(&shared, &tables))
        };
        let mut threads: Vec<_> = (0..COMPILERS).map(compiler).collect();
        threads.extend((0..PUBLISHERS).map(publisher));
        Self {
            jobs: Some(jobs),
            shared,
            threads,
            forgotten_early: HashSet::new(),
        }
    }

    /// The slot of an object's table. An object without one is given one, and is to be
    /// [asked](Self::ask) for; `None` when there is none left.
    pub(super) fn slot_of(&self, object: ObjectId) -> Option<Slot> {
        let mut slots = lock(&self.shared.slots);
        match slots.of(object) {
            Some(number) => Some(Slot {
                number,
                is_new: false,
            }),
            None => slots.give(object).map(|number| Slot {
                number,
                is_new: true,
            }),
        }
    }

    /// Asks for the table of an object. The queue is bounded by the slots of the kernel.
    pub(super) fn ask(
        &mut self,
        object: ObjectId,
        slot: Slot,
        build_id: Option<BuildId>,
        bytes: ObjectBytes,
    ) {
        lock(&self.shared.pending).insert(object);
        self.order(Order::Compile(Job {
            object,
            slot: slot.number,
            build_id,
            bytes,
        }));
    }

    /// Gives back the tables of objects that no map of the probe names any more.
    pub(super) fn forget(&mut self, objects: HashSet<ObjectId>) {
        self.forgotten_early.extend(objects);
        let pending = lock(&self.shared.pending).clone();
        let ready = |object: &ObjectId| !pending.contains(object);
        let finished: Vec<ObjectId> = self.forgotten_early.extract_if(ready).collect();
        for object in finished {
            let slot = lock(&self.shared.slots).take(object);
            if let Some(slot) = slot {
                self.order(Order::Withdraw(slot));
            }
        }
    }

    /// Hands an order to the compilers.
    fn order(&self, order: Order) {
        if let Some(jobs) = &self.jobs {
            jobs.send(order)
                .expect("compilers live as long as the sender");
        }
    }

    /// Waits until every table asked for is loaded, or the time is over.
    pub(super) fn wait_idle(&self, at_most: Duration) {
        let pending = lock(&self.shared.pending);
        let waited = self
            .shared
            .idle
            .wait_timeout_while(pending, at_most, |pending| !pending.is_empty());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Objects that have no table because it could not be made or loaded.
    pub(super) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Bytes of tables in the kernel, and distinct rules.
    pub(super) fn kernel_use(&self) -> (u64, usize) {
        (
            self.shared.tables.size_bytes(),
            lock(&self.shared.rules).count(),
        )
    }
}

impl Drop for TableLoader {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so; there is nothing to add here.
            drop(thread.join());
        }
    }
}

/// Where the table of an object is, or will be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Number of the slot.
    pub(super) number: u32,
    /// Given just now: nobody has asked for the table yet.
    pub(super) is_new: bool,
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

/// Compiles until there are no more jobs.
fn compile_all(shared: &Shared, orders: &Mutex<Receiver<Order>>, ready: &SyncSender<Ready>) {
    loop {
        let order = lock(orders).recv();
        let next = match order {
            Ok(Order::Compile(job)) => {
                let Some(table) = prepare(shared, &job) else {
                    shared.refused.fetch_add(1, Ordering::Relaxed);
                    finish_one(shared, job.object);
                    continue;
                };
                Ready::Publish { job, table }
            }
            Ok(Order::Withdraw(slot)) => Ready::Withdraw(slot),
            Err(_no_more) => return,
        };
        ready.send(next).expect("publishers outlive compilers");
    }
}

/// Publishes until there are no more tables.
fn publish_all(shared: &Shared, tables: &Mutex<Receiver<Ready>>) {
    loop {
        let ready = lock(tables).recv();
        match ready {
            Ok(Ready::Publish { job, table }) => {
                if let Err(error) = shared.tables.publish(job.slot, &table) {
                    tracing::warn!(object = job.object.0, %error, "unwind table not published");
                    shared.refused.fetch_add(1, Ordering::Relaxed);
                }
                finish_one(shared, job.object);
            }
            Ok(Ready::Withdraw(slot)) => match shared.tables.withdraw(slot) {
                Ok(()) => lock(&shared.slots).free(slot),
                // A slot that cannot be emptied stays out of use.
                Err(error) => tracing::warn!(slot, %error, "unwind table not given back"),
            },
            Err(_no_more) => return,
        }
    }
}

/// Notes that a job is done.
fn finish_one(shared: &Shared, object: ObjectId) {
    let mut pending = lock(&shared.pending);
    pending.remove(&object);
    if pending.is_empty() {
        shared.idle.notify_all();
    }
}

/// Copies one table into the kernel. An object without a usable one gets an empty table, which
/// tells the probe to try frame pointers. `None` when the kernel has no room.
fn prepare(shared: &Shared, job: &Job) -> Option<PreparedTable> {
    let table = find_or_compile(shared, job);
    if KERNEL_SIZE_BYTES_MAX < shared.tables.size_bytes() {
        return None;
    }
    let table = table.unwrap_or_else(|| {
        shared.refused.fetch_add(1, Ordering::Relaxed);
        UnwindTable::default()
    });
    let mut rules = lock(&shared.rules);
    let chunks = table.encode(&mut |rule| rules.assign(rule));
    drop(rules);
    PreparedTable::new(&chunks)
        .inspect_err(
            |error| tracing::warn!(object = job.object.0, %error, "unwind table not loaded"),
        )
        .ok()
}

/// The table of an object, from the cache or from its file.
fn find_or_compile(shared: &Shared, job: &Job) -> Option<UnwindTable> {
    let key = shared.cache.as_ref().zip(job.build_id.as_ref());
    if let Some(table) = key.and_then(|(cache, build_id)| cache.load(build_id)) {
        return Some(table);
    }
    let compiled = match &job.bytes {
        ObjectBytes::File(file) => unwind::compile(&shared_bytes(file)),
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
