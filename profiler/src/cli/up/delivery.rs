//! Windows of this host into the store of this process.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use crate::{
    model::{Batch, Definitions, FrameId, SenderId, StackId},
    service::run::{Connected, Live, Store, StoreError},
};

/// The sender of this process. A store has one at most.
const SENDER: SenderId = SenderId(u128::from_be_bytes(*b"profiler up host"));
/// Windows that wait for a full store; then the oldest is lost.
const WAITING_MAX: usize = 90;
/// Stacks whose definition the store is known to have. More than a host has in hours.
const DEFINED_MAX: usize = 1 << 20;

/// Puts windows into a store, each once.
pub(super) struct Delivery {
    store: Arc<dyn Store>,
    live: Live,
    /// Tells those who ask that this host is there.
    _connected: Connected,
    sequence: u64,
    waiting: VecDeque<Batch>,
    /// Windows lost since the last one that was kept.
    lost: u64,
    frames: HashSet<FrameId>,
    stacks: HashSet<StackId>,
}

impl Delivery {
    /// Goes on where the last run on this store ended.
    pub(super) fn new(store: Arc<dyn Store>, live: &Live, host: &str) -> Self {
        Self {
            sequence: store.durable_sequence(SENDER),
            store,
            _connected: live.connect(host, false),
            live: live.clone(),
            waiting: VecDeque::new(),
            lost: 0,
            frames: HashSet::new(),
            stacks: HashSet::new(),
        }
    }

    /// Takes a window and delivers all that wait, as far as the store takes them.
    pub(super) fn deliver(&mut self, batch: Batch) {
        self.waiting.push_back(batch);
        while WAITING_MAX < self.waiting.len() {
            self.waiting.pop_front();
            self.lost += 1;
        }
        while let Some(mut batch) = self.waiting.pop_front() {
            if let Some(window) = batch.windows.first_mut() {
                window.quality.windows_lost += std::mem::take(&mut self.lost);
            }
            if let Err(error) = self.append(&batch) {
                tracing::warn!(%error, waiting = self.waiting.len() + 1, "a window waits for the store");
                self.waiting.push_front(batch);
                return;
            }
            if self.live.is_watched() {
                batch
                    .windows
                    .into_iter()
                    .for_each(|window| self.live.publish(window));
            }
        }
    }

    /// Makes one batch durable. Definitions that the store has are left out.
    fn append(&mut self, batch: &Batch) -> Result<(), Arc<StoreError>> {
        let lean = Batch {
            definitions: self.unknown(&batch.definitions),
            windows: batch.windows.clone(),
        };
        let appended = match self.store.append(SENDER, self.sequence + 1, lean) {
            // What was known is not any more: the store has forgotten old definitions.
            Err(StoreError::Undefined { .. }) => {
                self.frames.clear();
                self.stacks.clear();
                self.store
                    .append(SENDER, self.sequence + 1, batch.clone())?
            }
            appended => appended?,
        };
        // The store answers, or is closed and says so by dropping the other end.
        if let Ok(durable) = appended.0.blocking_recv() {
            durable?;
        }
        self.sequence += 1;
        self.remember(&batch.definitions);
        Ok(())
    }

    /// Definitions that the store may not have.
    fn unknown(&self, all: &Definitions) -> Definitions {
        Definitions {
            frames: (all.frames.iter())
                .filter(|frame| !self.frames.contains(&frame.hash.id()))
                .cloned()
                .collect(),
            stacks: (all.stacks.iter())
                .filter(|stack| !self.stacks.contains(&stack.hash.id()))
                .cloned()
                .collect(),
        }
    }

    /// Remembers what the store has now.
    fn remember(&mut self, definitions: &Definitions) {
        if DEFINED_MAX < self.stacks.len() + definitions.stacks.len() {
            self.frames.clear();
            self.stacks.clear();
        }
        let frames = definitions.frames.iter().map(|frame| frame.hash.id());
        self.frames.extend(frames);
        let stacks = definitions.stacks.iter().map(|stack| stack.hash.id());
        self.stacks.extend(stacks);
    }
}
