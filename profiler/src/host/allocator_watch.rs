//! Finds allocators in what processes map, and has them probed.
//!
//! Part of the composition root. All of it happens on a thread of its own: symbol tables are long,
//! and the kernel takes milliseconds to put a probe into every process.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    allocator::{Allocator, find_allocator},
    probe::{ALLOCATOR_SLOTS, AllocatorLink, AllocatorProbes, ProbedAllocator},
    process::{Object, open_mapped, read_mappings},
};
use crate::model::{Avma, Inode, MappedFile, NewMapping, ObjectId, Pid};

/// Jobs that wait. A process has a dozen files, and what does not fit is asked for again when the
/// process maps more.
const JOBS_MAX: usize = 16_384;

/// What the thread is told.
enum Job {
    /// A process maps an object file there.
    Mapped(Pid, Avma, Arc<Object>),
    /// Nobody maps these any more.
    Forgotten(HashSet<ObjectId>),
    /// Probe from now on, what was found before too.
    Start,
    /// Take all probes away, until the next start.
    Pause,
    /// Say when all that came before is done.
    Settle(SyncSender<()>),
}

/// The near end of the thread.
#[derive(Debug)]
pub(super) struct AllocatorWatch {
    jobs: SyncSender<Job>,
    worker: JoinHandle<()>,
    /// Objects that turned out to have no allocator.
    verdicts: Receiver<ObjectId>,
    without: HashSet<ObjectId>,
    /// What was asked of each process already.
    asked: HashMap<Pid, HashSet<ObjectId>>,
}

impl AllocatorWatch {
    /// Starts the thread; it only looks at files until [`Self::start_probing`].
    pub(super) fn new(probes: AllocatorProbes) -> Self {
        let (jobs, waiting) = sync_channel(JOBS_MAX);
        let (verdicts_in, verdicts) = channel();
        let mut worker = Worker::new(probes, verdicts_in);
        Self {
            jobs,
            worker: thread::spawn(move || worker.run(&waiting)),
            verdicts,
            without: HashSet::new(),
            asked: HashMap::new(),
        }
    }

    /// A process maps an object file there.
    pub(super) fn mapped(&mut self, pid: Pid, start: Avma, object: &Arc<Object>) {
        self.without.extend(self.verdicts.try_iter());
        let asked = self.asked.entry(pid).or_default();
        if self.without.contains(&object.id) || asked.contains(&object.id) {
            return;
        }
        let job = Job::Mapped(pid, start, Arc::clone(object));
        if self.jobs.try_send(job).is_ok() {
            asked.insert(object.id);
        }
    }

    /// A process ended, or runs another program.
    pub(super) fn ended(&mut self, pid: Pid) {
        self.asked.remove(&pid);
    }

    /// Nobody maps these objects any more.
    pub(super) fn forgotten(&mut self, objects: &HashSet<ObjectId>) {
        self.without.retain(|object| !objects.contains(object));
        if !objects.is_empty() {
            self.tell(Job::Forgotten(objects.clone()));
        }
    }

    /// Probes what was found and what will be; waits until what is mapped now is done, at most so
    /// long.
    pub(super) fn start_probing(&self, at_most: Duration) {
        self.tell(Job::Start);
        if !self.settle(at_most) {
            tracing::warn!("not every allocator that is mapped is probed yet");
        }
    }

    /// Waits until all that was told is done, at most so long; whether it is.
    fn settle(&self, at_most: Duration) -> bool {
        let (done, is_done) = sync_channel(1);
        self.tell(Job::Settle(done));
        is_done.recv_timeout(at_most).is_ok()
    }

    /// Takes all probes away until [`Self::start_probing`]; waits until that is done, at most so long.
    pub(super) fn pause(&self, at_most: Duration) {
        self.tell(Job::Pause);
        self.settle(at_most);
    }

    /// Takes all probes away.
    pub(super) fn stop(self) {
        drop(self.jobs);
        if self.worker.join().is_err() {
            tracing::error!("the thread that finds allocators panicked");
        }
    }

    /// Tells the thread something that it must not miss.
    fn tell(&self, job: Job) {
        // The thread ends only when this end does, or in a panic that is told then.
        drop(self.jobs.send(job));
    }
}

/// An allocator with a slot of its own.
struct Probed {
    object: ObjectId,
    file: File,
    allocator: ProbedAllocator,
    /// Holds the probes; absent during a pause.
    link: Option<AllocatorLink>,
}

/// A process that maps an object, and where.
type Mapped = (Pid, Avma, Arc<Object>);

/// The thread's own.
struct Worker {
    probes: AllocatorProbes,
    verdicts: Sender<ObjectId>,
    is_started: bool,
    /// The allocator of each object that was looked at.
    known: HashMap<ObjectId, Option<Arc<Allocator>>>,
    /// By file: one object, known by its build id, may lie in many files.
    probed: HashMap<Inode, Probed>,
    /// What was found before probing began.
    waiting: Vec<Mapped>,
    free_slots: Vec<u16>,
}

impl Worker {
    /// Nothing is known yet.
    fn new(probes: AllocatorProbes, verdicts: Sender<ObjectId>) -> Self {
        let slots = u16::try_from(ALLOCATOR_SLOTS).unwrap_or(u16::MAX);
        Self {
            probes,
            verdicts,
            is_started: false,
            known: HashMap::new(),
            probed: HashMap::new(),
            waiting: Vec::new(),
            free_slots: (0..slots).rev().collect(),
        }
    }

    /// Works until nobody asks any more; then every probe goes.
    fn run(&mut self, jobs: &Receiver<Job>) {
        for job in jobs {
            match job {
                Job::Mapped(pid, start, object) => self.mapped(pid, start, &object),
                Job::Forgotten(objects) => self.forget(&objects),
                Job::Start => self.start(),
                Job::Pause => self.pause(),
                Job::Settle(done) => drop(done.send(())),
            }
        }
        self.probed.clear();
    }

    /// Probes what was found so far.
    fn start(&mut self) {
        self.is_started = true;
        for probed in self.probed.values_mut() {
            match self.probes.attach(&probed.file, &probed.allocator) {
                Ok(link) => probed.link = Some(link),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "allocator not probed again");
                }
            }
        }
        for (pid, start, object) in std::mem::take(&mut self.waiting) {
            self.mapped(pid, start, &object);
        }
    }

    /// Takes all probes away until the next start.
    fn pause(&mut self) {
        self.is_started = false;
        for probed in self.probed.values_mut() {
            probed.link = None;
        }
    }

    /// A process maps an object there.
    fn mapped(&mut self, pid: Pid, start: Avma, object: &Arc<Object>) {
        let find = || Some(Arc::new(find_allocator(object.file.as_deref()?)?));
        let allocator = self.known.entry(object.id).or_insert_with(find).clone();
        let Some(allocator) = allocator else {
            // Nobody listens any more when the host is going away.
            _ = self.verdicts.send(object.id);
            return;
        };
        if !self.is_started {
            self.waiting.push((pid, start, Arc::clone(object)));
            return;
        }
        // A process that is gone needs no probes.
        let mapping = (read_mappings(pid).unwrap_or_default().into_iter())
            .find(|mapping| mapping.start == start);
        if let Some(mapping) = mapping {
            self.probe(object, &allocator, &mapping);
        }
    }

    /// Probes an allocator in the file that is mapped, unless that is done already.
    fn probe(&mut self, object: &Object, allocator: &Allocator, mapping: &NewMapping) {
        let MappedFile::Inode(inode) = mapping.file else {
            return;
        };
        if self.probed.contains_key(&inode) {
            return;
        }
        let Some(slot) = self.free_slots.pop() else {
            tracing::warn!(path = object.path, "no room for one more allocator");
            return;
        };
        let asked = ProbedAllocator {
            slot,
            points: (allocator.points.iter())
                .map(|point| (point.offset, point.call))
                .collect(),
            ranges: allocator.ranges.clone(),
        };
        let attached = open_mapped(mapping).map(|file| {
            let link = self.probes.attach(&file, &asked);
            link.map(|link| (file, link))
        });
        match attached {
            Ok(Ok((file, link))) => {
                let functions = asked.points.len();
                tracing::debug!(path = object.path, functions, "allocator probed");
                let probed = Probed {
                    object: object.id,
                    file,
                    allocator: asked,
                    link: Some(link),
                };
                self.probed.insert(inode, probed);
            }
            Ok(Err(error)) => {
                self.free_slots.push(slot);
                let error = &error as &dyn std::error::Error;
                tracing::warn!(path = object.path, error, "allocator not probed");
                self.known.insert(object.id, None);
            }
            Err(_gone) => self.free_slots.push(slot),
        }
    }

    /// Takes the probes of files that nobody maps any more away.
    fn forget(&mut self, objects: &HashSet<ObjectId>) {
        self.known
            .retain(|object, _allocator| !objects.contains(object));
        let gone = (self.probed).extract_if(|_inode, probed| objects.contains(&probed.object));
        self.free_slots
            .extend(gone.map(|(_inode, probed)| probed.allocator.slot));
    }
}
