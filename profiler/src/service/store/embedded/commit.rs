//! Batches on their way to the disk: checked, queued, made durable in groups, taken into memory.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{
    engine::{Inner, lock},
    hash::IdSet,
    state::State,
    wal::encode_record,
};
use crate::{
    clock,
    model::{Batch, FrameId, SenderId, StackId},
    service::store::{Appended, StoreError},
};

/// Where a batch's fate is told.
type Done = oneshot::Sender<Result<(), Arc<StoreError>>>;

/// Batches that are not durable yet.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// In order.
    waiting: Vec<Waiting>,
    /// Bytes of their records.
    bytes: usize,
    /// Frames that batches on their way define.
    frames: IdSet,
    /// Stacks that batches on their way define.
    stacks: IdSet,
    /// Last number of each sender that was queued since the last failure.
    taken: HashMap<SenderId, u64>,
    /// First number of each sender that was refused after it was queued. Later ones are refused
    /// until it comes again: a later one that became durable would make it look repeated.
    held: HashMap<SenderId, u64>,
    /// Set when the store closes.
    stopped: bool,
}

impl Queue {
    /// Lets the threads end.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Whether the store closes.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Lets a sender go on from where it wants: it asks where to, so it knows what is not durable.
    pub(super) fn release(&mut self, sender: SenderId) {
        self.held.remove(&sender);
    }

    /// Refuses numbers behind one that was refused.
    fn check_order(&mut self, sender: SenderId, sequence: u64) -> Result<(), StoreError> {
        match self.held.get(&sender).copied() {
            Some(first) if first < sequence => Err(StoreError::Full {
                reason: format!("number {first} of this sender was refused and comes first"),
            }),
            Some(_first) => {
                self.held.remove(&sender);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// One batch that waits.
#[derive(Debug)]
struct Waiting {
    /// Whose.
    sender: SenderId,
    /// Its number.
    sequence: u64,
    /// Its record; empty for a batch that came again while its first is on its way.
    record: Vec<u8>,
    /// The data.
    batch: Batch,
    /// Frames and stacks it defines.
    defines: (Vec<FrameId>, Vec<StackId>),
    /// Who waits.
    done: Done,
}

impl Inner {
    /// Queues a batch.
    ///
    /// # Errors
    /// [`StoreError::Undefined`], or [`StoreError::Full`] when too much waits in memory.
    pub(super) fn append(
        &self,
        sender: SenderId,
        sequence: u64,
        mut batch: Batch,
    ) -> Result<Appended, StoreError> {
        (self.state().dictionary).leave_out_known(&mut batch.definitions);
        // Outside the locks: the expensive part, and senders do not wait for one another's.
        let record = encode_record(sender, sequence, &batch)?;
        let (done, appended) = oneshot::channel();
        let mut queue = lock(&self.queue);
        let state = self.state();
        let durable = state.sequence(sender);
        let taken = queue.taken.get(&sender).copied().unwrap_or_default();
        if sequence <= durable {
            self.counters.batches_repeated.bump();
            return Ok(Appended::already());
        }
        let mut waiting = Waiting {
            sender,
            sequence,
            record: Vec::new(),
            batch: Batch::default(),
            defines: (Vec::new(), Vec::new()),
            done,
        };
        if sequence <= taken {
            self.counters.batches_repeated.bump();
        } else {
            queue.check_order(sender, sequence)?;
            check_definitions(&queue, &state, &batch)?;
            self.check_room(&queue, &state)?;
            let definitions = &batch.definitions;
            waiting.defines = (
                definitions
                    .frames
                    .iter()
                    .map(|frame| frame.hash.id())
                    .collect(),
                definitions
                    .stacks
                    .iter()
                    .map(|stack| stack.hash.id())
                    .collect(),
            );
            queue.frames.extend(waiting.defines.0.iter().map(|id| id.0));
            queue.stacks.extend(waiting.defines.1.iter().map(|id| id.0));
            queue.taken.insert(sender, sequence);
            queue.bytes += record.len();
            waiting.record = record;
            waiting.batch = batch;
        }
        queue.waiting.push(waiting);
        drop(state);
        drop(queue);
        self.wake.notify_one();
        Ok(Appended(appended))
    }

    /// Refuses a batch while too much waits in memory.
    fn check_room(&self, queue: &Queue, state: &State) -> Result<(), StoreError> {
        let bytes = state.active_bytes + state.frozen_bytes + queue.bytes;
        let bytes_max = self.options.memory_bytes_max;
        if bytes < bytes_max {
            return Ok(());
        }
        let error = StoreError::Full {
            reason: format!("{bytes} bytes wait to be written as parts, the bound is {bytes_max}"),
        };
        self.note_write(Err(&error));
        Err(error)
    }

    /// Makes batches durable until the store closes.
    pub(super) fn commit_all(&self) {
        while let Some(group) = self.next_group() {
            self.commit(group);
        }
    }

    /// Waits for batches, then for more that can go with them. `None` when the store closes and
    /// nothing waits.
    fn next_group(&self) -> Option<Vec<Waiting>> {
        let queue = lock(&self.queue);
        let queue = self
            .wake
            .wait_while(queue, |queue| queue.waiting.is_empty() && !queue.stopped);
        let queue = queue.unwrap_or_else(PoisonError::into_inner);
        let is_small = |queue: &mut Queue| {
            queue.bytes < self.options.commit_bytes && !queue.stopped && !queue.waiting.is_empty()
        };
        let interval = self.options.commit_interval;
        let (mut queue, _timeout) = (self.wake.wait_timeout_while(queue, interval, is_small))
            .unwrap_or_else(PoisonError::into_inner);
        queue.bytes = 0;
        let group = std::mem::take(&mut queue.waiting);
        (!group.is_empty()).then_some(group)
    }

    /// Makes a group durable, takes it into memory, and tells who waits.
    fn commit(&self, mut group: Vec<Waiting>) {
        let records: Vec<&[u8]> = (group.iter())
            .map(|waiting| waiting.record.as_slice())
            .filter(|record| !record.is_empty())
            .collect();
        let mut wal = lock(&self.wal);
        if let Err(error) = wal.append(&records) {
            drop(wal);
            self.note_write(Err(&error));
            return self.fail(group, &Arc::new(error));
        }
        self.take(&mut group);
        if self.options.segment_bytes <= wal.segment_bytes() {
            // Without a new segment the old one grows on; the next group tries again.
            if let Err(error) = wal.rotate() {
                self.note_write(Err(&error));
            }
        }
        drop(wal);
        self.note_write(Ok(()));
        self.settle(&group);
        for waiting in group {
            // Nobody may be waiting any more.
            drop(waiting.done.send(Ok(())));
        }
    }

    /// Takes durable batches into memory.
    fn take(&self, group: &mut [Waiting]) {
        let mut state = self.state_mut();
        for waiting in group {
            if !waiting.record.is_empty() {
                let batch = std::mem::take(&mut waiting.batch);
                let rows = state.apply(waiting.sender, waiting.sequence, batch);
                self.counters.rows_taken.add(rows);
                self.counters.batches.bump();
            }
        }
        if state.active_since.is_none() {
            state.active_since = Some(clock::monotonic());
        }
    }

    /// Notes that what a group defines is in the dictionary now.
    fn settle(&self, group: &[Waiting]) {
        let mut queue = lock(&self.queue);
        for (frames, stacks) in group.iter().map(|waiting| &waiting.defines) {
            for id in frames {
                queue.frames.remove(&id.0);
            }
            for id in stacks {
                queue.stacks.remove(&id.0);
            }
        }
        // A later batch that waits may define the same again; it needs nothing from this set then.
    }

    /// Refuses a group and everything behind it, which may need what the group defines. Numbers
    /// count as never taken.
    fn fail(&self, group: Vec<Waiting>, error: &Arc<StoreError>) {
        let mut queue: MutexGuard<'_, Queue> = lock(&self.queue);
        let behind = std::mem::take(&mut queue.waiting);
        queue.bytes = 0;
        queue.frames.clear();
        queue.stacks.clear();
        queue.taken.clear();
        let refused: Vec<Waiting> = group.into_iter().chain(behind).collect();
        for waiting in &refused {
            let first = queue.held.entry(waiting.sender).or_insert(waiting.sequence);
            *first = waiting.sequence.min(*first);
        }
        drop(queue);
        for waiting in refused {
            drop(waiting.done.send(Err(Arc::clone(error))));
        }
    }
}

/// Refuses a batch that needs what is defined nowhere.
fn check_definitions(queue: &Queue, state: &State, batch: &Batch) -> Result<(), StoreError> {
    let definitions = &batch.definitions;
    let new_frames: IdSet = definitions
        .frames
        .iter()
        .map(|frame| frame.hash.id().0)
        .collect();
    let new_stacks: IdSet = definitions
        .stacks
        .iter()
        .map(|stack| stack.hash.id().0)
        .collect();
    let has_frame = |id: &FrameId| {
        new_frames.contains(&id.0)
            || queue.frames.contains(&id.0)
            || state.dictionary.has_frame(*id)
    };
    let has_stack = |id: &StackId| {
        new_stacks.contains(&id.0)
            || queue.stacks.contains(&id.0)
            || state.dictionary.has_stack(*id)
    };
    let frames: BTreeSet<FrameId> = (definitions.stacks.iter())
        .flat_map(|stack| stack.frames.iter().copied())
        .filter(|id| !has_frame(id))
        .collect();
    let stacks: BTreeSet<StackId> = (batch.windows.iter())
        .flat_map(|window| &window.series)
        .flat_map(|series| series.samples.iter().map(|sample| sample.stack))
        .filter(|id| !has_stack(id))
        .collect();
    if frames.is_empty() && stacks.is_empty() {
        return Ok(());
    }
    Err(StoreError::Undefined {
        frames: frames.into_iter().collect(),
        stacks: stacks.into_iter().collect(),
    })
}
