//! The store itself: opening it, and what it answers.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::AtomicU64,
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{
    catalog::Catalog,
    commit::Queue,
    counters::{Counters, Feet},
    definition_file::read_definitions,
    files::{file_error, sync_dir, write_error},
    options::{StoreHealth, StoreOptions, StoreStats},
    part::{Kind, Part},
    state::State,
    wal::Wal,
};
use crate::{
    clock,
    model::{
        Batch, FrameDefinition, FrameId, ProfileType, Selection, SenderId, StackId, TimeRange,
    },
    service::store::{
        Appended, FrameHashes, GroupStacks, GroupTotals, HostFacts, MergedStacks, QueryLimits,
        SeriesInfo, Store, StoreError,
    },
};

/// A store in a folder of its own. Dropping it makes what waits durable and stops its threads.
#[derive(Debug)]
pub struct EmbeddedStore {
    /// What its threads share.
    pub(super) inner: Arc<Inner>,
    /// Its threads.
    threads: Vec<JoinHandle<()>>,
}

/// What the threads of a store share.
#[derive(Debug)]
pub(super) struct Inner {
    /// Its folder.
    pub(super) dir: PathBuf,
    /// How it works.
    pub(super) options: StoreOptions,
    /// Held by whoever merges or drops parts.
    pub(super) compacting: Mutex<()>,
    /// Held by whoever writes rows in memory as parts.
    pub(super) flushing: Mutex<()>,
    /// The log.
    pub(super) wal: Mutex<Wal>,
    /// Batches that are not durable yet.
    pub(super) queue: Mutex<Queue>,
    /// Wakes the thread that makes them durable.
    pub(super) wake: Condvar,
    /// Wakes the threads of the upkeep, to end them.
    pub(super) wake_upkeep: Condvar,
    /// What queries see.
    pub(super) state: RwLock<State>,
    /// What is valid.
    pub(super) catalog: Mutex<Catalog>,
    /// Number of the next part.
    pub(super) next_part: AtomicU64,
    /// What happened.
    pub(super) counters: Counters,
    /// Feet of parts.
    pub(super) feet: Feet,
    /// Whether all is well.
    pub(super) health: Mutex<StoreHealth>,
    /// Keeps other processes out.
    _lock: File,
}

/// Takes a lock, also after a thread died with it: every change under one is made whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// What queries see.
    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What queries see, to be changed.
    pub(super) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how a write went.
    pub(super) fn note_write(&self, result: Result<(), &StoreError>) {
        let mut health = lock(&self.health);
        match result {
            Ok(()) => health.full = None,
            Err(error @ StoreError::Full { .. }) => {
                self.counters.full_events.bump();
                health.full = Some(error.to_string());
            }
            Err(error) => health.upkeep_error = Some(error.to_string()),
        }
    }
}

impl EmbeddedStore {
    /// Opens or makes a store: reads the catalogue, removes files that it does not list, loads
    /// definitions, and replays the log.
    ///
    /// # Errors
    /// Another process has it open, a later release wrote it, or a file cannot be used.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let inner = Arc::new(open(dir, options)?);
        let mut threads = vec![spawn("store commit", &inner, Inner::commit_all)?];
        if inner.options.upkeep_interval.is_some() {
            threads.push(spawn("store flush", &inner, |inner| {
                inner.repeat(Inner::flush_if_due);
            })?);
            threads.push(spawn("store upkeep", &inner, |inner| {
                inner.repeat(|inner| inner.upkeep(clock::wall()));
            })?);
        }
        Ok(Self { inner, threads })
    }

    /// Writes rows in memory as parts.
    ///
    /// # Errors
    /// The disk's. The rows stay in memory and in the log.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush()
    }

    /// Merges hours that are ripe at `now` (since the Unix epoch), and drops what is too old or too
    /// much. A thread of the store does the same from time to time.
    ///
    /// # Errors
    /// The disk's. What was done before stays done.
    pub fn maintain(&self, now: Duration) -> Result<(), StoreError> {
        self.inner.upkeep(now)
    }

    /// Whether it does its work.
    pub fn health(&self) -> StoreHealth {
        lock(&self.inner.health).clone()
    }

    /// Numbers for `/metrics`.
    pub fn stats(&self) -> StoreStats {
        self.inner.stats()
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        lock(&self.inner.queue).stop();
        self.inner.wake.notify_all();
        self.inner.wake_upkeep.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked said so; what it left undone is in the log.
            drop(thread.join());
        }
    }
}

/// Starts a thread of the store.
fn spawn(
    name: &str,
    inner: &Arc<Inner>,
    run: impl FnOnce(&Inner) + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
    let inner = Arc::clone(inner);
    let thread = std::thread::Builder::new().name(name.to_owned());
    let thread = thread.spawn(move || run(&inner));
    thread.map_err(|error| file_error(Path::new(name), &error))
}

/// Everything but the threads.
fn open(dir: &Path, options: StoreOptions) -> Result<Inner, StoreError> {
    for kind in Kind::ALL {
        let folder = dir.join(kind.folder());
        fs::create_dir_all(&folder).map_err(|error| write_error(&folder, &error))?;
    }
    let held = hold(dir)?;
    let catalog = Catalog::open(&dir.join("catalog.sqlite"))?;
    let mut state = State {
        floor: catalog.meta("floor")?.unwrap_or_default(),
        sequences: catalog.senders()?.into_iter().collect(),
        ..State::default()
    };
    let parts: Vec<Arc<Part>> = (catalog.parts()?.into_iter())
        .map(|facts| Part::new(dir, facts))
        .collect();
    let next_part = sweep(dir, &parts)?;
    let listed = parts.len();
    load(&mut state, &catalog, parts)?;
    let first = catalog.meta("wal_first")?.unwrap_or(1);
    let (wal, replay) = Wal::open(&dir.join("wal"), first)?;
    sync_dir(dir)?;
    let counters = Counters::default();
    counters.corrupt_records.add(replay.corrupt);
    counters.torn_bytes.add(replay.torn_bytes);
    let unreadable = listed - state.parts.len();
    (counters.parts_unreadable).add(u64::try_from(unreadable).unwrap_or(u64::MAX));
    for record in replay.records {
        state.apply(record.sender, record.sequence, record.batch);
    }
    state.active_since = (!state.active.is_empty()).then(clock::monotonic);
    Ok(Inner {
        dir: dir.to_owned(),
        options,
        compacting: Mutex::default(),
        flushing: Mutex::default(),
        wal: Mutex::new(wal),
        queue: Mutex::default(),
        wake: Condvar::new(),
        wake_upkeep: Condvar::new(),
        state: RwLock::new(state),
        catalog: Mutex::new(catalog),
        next_part: AtomicU64::new(next_part),
        counters,
        feet: Feet::default(),
        health: Mutex::default(),
        _lock: held,
    })
}

/// Keeps other processes out for as long as the file is open.
fn hold(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(|error| write_error(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::File {
            path: path.display().to_string(),
            reason: "the store is open in another process".to_owned(),
        }),
        Err(fs::TryLockError::Error(error)) => Err(file_error(&path, &error)),
    }
}

/// Removes files that the catalogue does not list: what a crash or a last reader left. Returns a
/// number that no part has.
fn sweep(dir: &Path, parts: &[Arc<Part>]) -> Result<u64, StoreError> {
    let listed: std::collections::HashSet<&Path> =
        parts.iter().map(|part| part.path.as_path()).collect();
    let mut next = 1;
    for kind in Kind::ALL {
        let folder = dir.join(kind.folder());
        let entries = fs::read_dir(&folder).map_err(|error| file_error(&folder, &error))?;
        for entry in entries {
            let path = (entry.map_err(|error| file_error(&folder, &error))?).path();
            if !listed.contains(path.as_path()) {
                fs::remove_file(&path).map_err(|error| file_error(&path, &error))?;
            }
        }
    }
    for part in parts {
        let stem = part.facts.name.split('.').next().unwrap_or_default();
        let number = stem
            .rsplit('-')
            .next()
            .and_then(|n| u64::from_str_radix(n, 16).ok());
        next = next.max(number.unwrap_or_default() + 1);
    }
    Ok(next)
}

/// Loads series and definitions. Parts that are damaged are left out: definitions come again when
/// they are needed, and sums stand in for rows.
fn load(state: &mut State, catalog: &Catalog, parts: Vec<Arc<Part>>) -> Result<(), StoreError> {
    for row in catalog.series()? {
        state.series.insert(row.id, row.labels, row.last_ts);
    }
    let mut readable = Vec::with_capacity(parts.len());
    let mut files = Vec::new();
    for part in parts {
        let size = fs::metadata(&part.path).map(|metadata| metadata.len());
        if size.ok() != Some(part.facts.size_bytes) {
            continue;
        }
        if part.facts.kind == Kind::Definitions {
            let Ok(definitions) = read_definitions(&part.path) else {
                continue;
            };
            files.push(definitions);
        }
        readable.push(part);
    }
    state.dictionary.load(files);
    catalog.load_aliases(&mut state.dictionary)?;
    state.parts = Arc::new(readable);
    Ok(())
}

impl Store for EmbeddedStore {
    fn append(
        &self,
        sender: SenderId,
        sequence: u64,
        batch: Batch,
    ) -> Result<Appended, StoreError> {
        self.inner.append(sender, sequence, batch)
    }

    fn durable_sequence(&self, sender: SenderId) -> u64 {
        lock(&self.inner.queue).release(sender);
        self.inner.state().sequence(sender)
    }

    fn merge_stacks(
        &self,
        selection: &Selection,
        limits: &QueryLimits,
    ) -> Result<MergedStacks, StoreError> {
        self.inner.merge_stacks(selection, limits)
    }

    fn merge_stacks_by(
        &self,
        selection: &Selection,
        group_by: &[String],
        limits: &QueryLimits,
    ) -> Result<Vec<GroupStacks>, StoreError> {
        self.inner.merge_stacks_by(selection, group_by, limits)
    }

    fn totals(
        &self,
        selection: &Selection,
        step: Duration,
        group_by: &[String],
        limits: &QueryLimits,
    ) -> Result<Vec<GroupTotals>, StoreError> {
        self.inner.totals(selection, step, group_by, limits)
    }

    fn series(&self, selection: &Selection) -> Result<Vec<SeriesInfo>, StoreError> {
        self.inner.series(selection)
    }

    fn profile_types(&self, range: TimeRange) -> Vec<ProfileType> {
        self.inner.profile_types(range)
    }

    fn hosts(&self, range: TimeRange, signal: Option<&str>) -> Vec<HostFacts> {
        self.inner.hosts(range, signal)
    }

    fn stacks(&self, ids: &[StackId]) -> Vec<FrameHashes> {
        let state = self.inner.state();
        ids.iter().map(|id| state.dictionary.stack(*id)).collect()
    }

    fn frames(&self, ids: &[FrameId]) -> Vec<Option<Arc<FrameDefinition>>> {
        let state = self.inner.state();
        ids.iter().map(|id| state.dictionary.frame(*id)).collect()
    }

    fn version(&self, range: TimeRange) -> u64 {
        let state = self.inner.state();
        (state.changes.in_range(range)).wrapping_add(state.floor)
    }

    fn drop_before(&self, before: Duration) -> Result<(), StoreError> {
        self.inner.drop_before(before)
    }

    fn backup(&self, dir: &Path) -> Result<(), StoreError> {
        self.inner.backup(dir)
    }
}
