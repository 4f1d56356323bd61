//! Windows of this host into the store of this process.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use tokio::sync::oneshot::error::RecvError;

use crate::{
    model::{Batch, Definitions, FrameId, SenderId, StackId},
    service::run::{Live, Store, StoreError},
};

/// The sender of this process. A store has one at most.
const SENDER: SenderId = SenderId(u128::from_be_bytes(*b"profiler up host"));
/// Windows that wait for a full store; then the oldest is lost.
const WAITING_MAX: usize = 90;
/// Stacks whose definition the store is known to have. More than a host has in hours.
const DEFINED_MAX: usize = 1 << 20;

/// Why a window is not durable.
#[derive(Debug, thiserror::Error)]
enum DeliveryError {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
    /// The store was closed before it said anything.
    #[error("the store is closed")]
    Closed(#[from] RecvError),
}

/// Puts windows into a store, each once.
pub(super) struct Delivery {
    store: Arc<dyn Store>,
    live: Live,
    sequence: u64,
    waiting: VecDeque<Batch>,
    /// Windows lost since the last one that was kept.
    lost: u64,
    frames: HashSet<FrameId>,
    stacks: HashSet<StackId>,
}

impl Delivery {
    /// Goes on where the last run on this store ended.
    pub(super) fn new(store: Arc<dyn Store>, live: &Live) -> Self {
        Self {
            sequence: store.durable_sequence(SENDER),
            store,
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
        while WAITING_MAX < self.waiting.len()
            && let Some(dropped) = self.waiting.pop_front()
        {
            self.lost += windows_lost_with(&dropped);
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
    fn append(&mut self, batch: &Batch) -> Result<(), DeliveryError> {
        let lean = Batch {
            definitions: self.unknown(&batch.definitions),
            windows: batch.windows.clone(),
        };
        let appended = match self.store.append(SENDER, self.sequence + 1, lean) {
            // What was known is not any more: the store has forgotten old definitions.
            Err(StoreError::Undefined { .. }) => {
                self.frames.clear();
                self.stacks.clear();
                self.store.append(SENDER, self.sequence + 1, batch.clone())
            }
            appended => appended,
        };
        // A store that is closed drops the other end.
        appended.map_err(Arc::new)?.0.blocking_recv()??;
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

/// Windows that are lost with a batch: its own, and those that it says were lost before.
fn windows_lost_with(batch: &Batch) -> u64 {
    let before = (batch.windows.iter()).map(|window| window.quality.windows_lost);
    batch.windows.len() as u64 + before.sum::<u64>()
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{Delivery, SENDER, WAITING_MAX};
    use crate::{
        model::TimeRange,
        service::{
            fixture::{HeldStore, batch},
            run::{Live, Store},
        },
    };

    /// A store that can be full or closed, and what delivers to it.
    fn start() -> (Arc<HeldStore>, Delivery) {
        let store = Arc::new(HeldStore::default());
        let delivery = Delivery::new(Arc::clone(&store) as Arc<dyn Store>, &Live::default());
        (store, delivery)
    }

    /// Windows that arrived, and those that they say were lost.
    fn stored(store: &HeldStore) -> (u64, u64) {
        let always = TimeRange {
            start: Duration::ZERO,
            end: Duration::MAX,
        };
        let hosts = store.hosts(always, None);
        let windows = hosts.iter().map(|host| host.windows).sum();
        let lost = hosts.iter().map(|host| host.quality.windows_lost).sum();
        (windows, lost)
    }

    /// The store is full for so long that windows are dropped, has room for one moment, in which a
    /// window takes up what was lost and does not get through, and is full again.
    #[test]
    fn a_dropped_window_takes_nothing_that_it_had_to_tell_with_it() {
        let (store, mut delivery) = start();
        let mut sampled = 0;
        let mut sample = |delivery: &mut Delivery, count: usize| {
            for _ in 0..count {
                delivery.deliver(batch("f", 1));
                sampled += 1;
            }
            sampled
        };
        store.set_full(true);
        sample(&mut delivery, WAITING_MAX + 5);
        // The five that were dropped are told by the oldest that waits; now it is dropped, too.
        sample(&mut delivery, 3);
        store.set_full(false);
        let sampled = sample(&mut delivery, 1);
        let (arrived, lost) = stored(&store);
        assert_eq!((WAITING_MAX as u64, 9), (arrived, lost));
        assert_eq!(sampled, arrived + lost);
    }

    #[test]
    fn a_closed_store_has_taken_nothing() {
        let (store, mut delivery) = start();
        store.close();
        delivery.deliver(batch("f", 1));
        assert_eq!((0, 1), (delivery.sequence, delivery.waiting.len()));
        assert_eq!(0, store.durable_sequence(SENDER));
    }
}
