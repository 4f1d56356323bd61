//! A day of a fleet, written by the store itself.
//!
//! A question about the last 24 hours reads whole hours as sums by the hour, and the hours at its two
//! ends finer. So the hours at the ends are delivered as windows of ten seconds, as daemons do, and
//! those between in windows of an hour with the same samples: the sums are the same ones, in a tenth
//! of the time. Each hour is written and merged by the store when it is over.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use profiler::{
    clock,
    model::{Batch, SenderId},
    service::store::{Appended, EmbeddedStore, Store as _, StoreOptions},
};
use profiler_tests::harness::fleet::{Capture, FleetShape, SimulatedHost};

/// Length of a daemon's window.
const WINDOW: Duration = Duration::from_secs(10);
/// Samples of a window: a host of one CPU, a tenth busy, at 19 Hz.
const WINDOW_SAMPLES: u32 = 19;
/// An hour.
const HOUR: Duration = Duration::from_secs(3_600);
/// Windows of an hour.
const HOUR_WINDOWS: u32 = 360;
/// Whole hours between the first and the last.
const HOURS_BETWEEN: u32 = 23;
/// Windows after which rows in memory are written: five minutes, as the service does.
const FLUSH_WINDOWS: u32 = 30;
/// When the store merges an hour that is over.
const MERGE_DELAY: Duration = Duration::from_secs(660);
/// Batches made in advance.
const MADE_AHEAD: usize = 64;
/// Batches on their way to the disk at once: many, so that few syncs serve all of them.
const IN_FLIGHT: usize = 4_096;

/// The store's own choices, but for the upkeep, which is called when it is wanted.
pub(crate) fn options() -> StoreOptions {
    StoreOptions {
        commit_interval: Duration::from_millis(5),
        upkeep_interval: None,
        ..StoreOptions::default()
    }
}

/// A fleet that delivers, window after window.
pub(crate) struct Fleet {
    host: SimulatedHost,
    hosts: u32,
    /// Start of the next window.
    next: Duration,
    /// Number of the next batch of each host.
    sequence: u64,
    /// Windows that are not written as parts yet.
    in_memory: u32,
    /// Batches on their way to the disk.
    waiting: VecDeque<Appended>,
}

impl Fleet {
    /// A fleet whose first window is that of the hour in which `start` lies.
    pub(crate) fn new(capture: &Arc<Capture>, hosts: u32, start: Duration) -> Self {
        let hours = start.as_secs() / HOUR.as_secs();
        Self {
            host: SimulatedHost::new(Arc::clone(capture), shape(WINDOW, WINDOW_SAMPLES), 0),
            hosts,
            next: Duration::from_secs(hours * HOUR.as_secs()),
            sequence: 1,
            in_memory: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Fills a store up to `end`.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn fill(&mut self, dir: &Path, end: Duration) -> anyhow::Result<()> {
        let store = EmbeddedStore::open(dir, options())?;
        let first_end = self.next + HOUR;
        self.deliver_until(&store, first_end)?;
        for _hour in 0..HOURS_BETWEEN {
            self.deliver(&store, shape(HOUR, WINDOW_SAMPLES * HOUR_WINDOWS))?;
            self.flush(&store)?;
            store.maintain(self.next + MERGE_DELAY)?;
        }
        self.deliver_until(&store, end)?;
        store.maintain(end)?;
        Ok(())
    }

    /// Delivers what the daemons have to say by now, and one window of each host at least.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn catch_up(&mut self, store: &EmbeddedStore) -> anyhow::Result<()> {
        self.deliver_until(store, clock::wall().max(self.next + WINDOW))
    }

    /// Delivers daemons' windows until `end`. Every five minutes they are written as parts.
    fn deliver_until(&mut self, store: &EmbeddedStore, end: Duration) -> anyhow::Result<()> {
        while self.next + WINDOW <= end {
            self.deliver(store, shape(WINDOW, WINDOW_SAMPLES))?;
            self.in_memory += 1;
            if self.in_memory == FLUSH_WINDOWS {
                self.flush(store)?;
            }
        }
        settle(&mut self.waiting, 0)
    }

    /// Writes all that was delivered as parts.
    fn flush(&mut self, store: &EmbeddedStore) -> anyhow::Result<()> {
        settle(&mut self.waiting, 0)?;
        self.in_memory = 0;
        Ok(store.flush()?)
    }

    /// Delivers one window of each host. Batches are made on a thread of their own.
    fn deliver(&mut self, store: &EmbeddedStore, shape: FleetShape) -> anyhow::Result<()> {
        let (start, sequence, hosts) = (self.next, self.sequence, self.hosts);
        let seed = u32::try_from(sequence).unwrap_or(u32::MAX);
        let (send, batches) = mpsc::sync_channel::<Batch>(MADE_AHEAD);
        let (host, waiting) = (&mut self.host, &mut self.waiting);
        thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..hosts {
                    host.go_on_as(number, shape);
                    // The receiver is gone when the store said no.
                    if send.send(host.window_at(seed, start)).is_err() {
                        return;
                    }
                }
            });
            for (number, batch) in batches.iter().enumerate() {
                let sender = SenderId(number as u128 + 1);
                waiting.push_back(store.append(sender, sequence, batch)?);
                settle(waiting, IN_FLIGHT)?;
            }
            anyhow::Ok(())
        })?;
        self.next += shape.window;
        self.sequence += 1;
        Ok(())
    }
}

/// Hosts with windows of a length, each with so many samples.
fn shape(window: Duration, samples: u32) -> FleetShape {
    FleetShape {
        samples,
        processes: 4,
        window,
        ..FleetShape::default()
    }
}

/// Waits until at most `rest` are not on the disk.
fn settle(waiting: &mut VecDeque<Appended>, rest: usize) -> anyhow::Result<()> {
    while rest < waiting.len() {
        if let Some(appended) = waiting.pop_front() {
            appended.0.blocking_recv().context("the store ended")??;
        }
    }
    Ok(())
}

/// The last day, up to now.
pub(crate) fn last_day() -> (Duration, Duration) {
    let now = clock::wall();
    (now.saturating_sub(24 * HOUR), now)
}
