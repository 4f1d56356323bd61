//! The process records of all CPUs as one line of events in time.

use std::time::Duration;

use super::{PerfRing, decode_process_record, process_record::record_time};
use crate::model::Event;

/// The rings of all CPUs, merged.
///
/// A fork on one CPU and the exec of the child on another come out in this order, whichever ring
/// is read first.
#[derive(Debug)]
pub struct ProcessEvents {
    rings: Vec<PerfRing>,
    /// Decoded, not handed out yet: written after the drain they were found in began.
    waiting: Vec<(Duration, Event)>,
    /// Records that could not be decoded.
    undecodable: u64,
}

impl ProcessEvents {
    /// Takes the rings of all CPUs.
    pub fn new(rings: Vec<PerfRing>) -> Self {
        Self {
            rings,
            waiting: Vec::new(),
            undecodable: 0,
        }
    }

    /// The rings, to wait on.
    pub fn rings(&self) -> &[PerfRing] {
        &self.rings
    }

    /// Records dropped because they could not be decoded.
    pub fn undecodable(&self) -> u64 {
        self.undecodable
    }

    /// Events up to `now`, oldest first. `now` must have been read before the call.
    pub fn drain(&mut self, now: Duration) -> Vec<Event> {
        for ring in &mut self.rings {
            ring.drain(|record| match decode_process_record(record) {
                Ok(Some(event)) => self.waiting.push((record_time(record), event)),
                Ok(None) => {}
                Err(_malformed) => self.undecodable = self.undecodable.saturating_add(1),
            });
        }
        // Stable: records of one CPU with the same time keep their order.
        self.waiting.sort_by_key(|(time, _event)| *time);
        let ready = self.waiting.partition_point(|(time, _event)| *time <= now);
        self.waiting
            .drain(..ready)
            .map(|(_time, event)| event)
            .collect()
    }
}
