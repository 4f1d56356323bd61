//! What queries see: parts, rows in memory, definitions, series.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{
    changes::Changes,
    dictionary::Dictionary,
    part::Parts,
    row_file::Clip,
    rows::{Chunk, nanoseconds},
    series_index::SeriesIndex,
};
use crate::{
    model::{Batch, SenderId, TimeRange},
    service::store::limits,
};

/// Everything that is durable, in the form it is asked for.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Frames and stacks.
    pub(super) dictionary: Dictionary,
    /// Series.
    pub(super) series: SeriesIndex,
    /// Last number of each sender.
    pub(super) sequences: HashMap<SenderId, u64>,
    /// Those of them that the catalogue does not have yet.
    pub(super) fresh_sequences: BTreeMap<SenderId, u64>,
    /// Rows since the last flush began.
    pub(super) active: Vec<Arc<Chunk>>,
    /// Their memory.
    pub(super) active_bytes: usize,
    /// Monotonic time of the first of them.
    pub(super) active_since: Option<Duration>,
    /// Rows that are being flushed.
    pub(super) frozen: Vec<Arc<Chunk>>,
    /// Their memory.
    pub(super) frozen_bytes: usize,
    /// Rows on disk.
    pub(super) parts: Parts,
    /// Windows before this are forgotten.
    pub(super) floor: u64,
    /// Which hours got new data.
    pub(super) changes: Changes,
}

/// Rows of one moment: they stay as they are while a query reads them.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// On disk.
    pub(super) parts: Parts,
    /// In memory.
    pub(super) chunks: Vec<Arc<Chunk>>,
    /// The span asked for, without what is forgotten.
    pub(super) span: Clip,
}

impl State {
    /// Takes a durable batch. Returns its rows. What came before is not taken again.
    pub(super) fn apply(&mut self, sender: SenderId, sequence: u64, batch: Batch) -> u64 {
        if sequence <= self.sequence(sender) {
            return 0;
        }
        self.sequences.insert(sender, sequence);
        self.fresh_sequences.insert(sender, sequence);
        self.dictionary.define(sender, batch.definitions);
        for window in &batch.windows {
            self.changes.note(window.span.start);
        }
        let chunk = open_chunk(&mut self.active);
        let (rows, bytes) = (chunk.sample_rows(), chunk.size_bytes());
        let (dictionary, series) = (&self.dictionary, &mut self.series);
        chunk.add(&batch.windows, self.floor, series, |id| {
            dictionary.settled(sender, id)
        });
        self.active_bytes += chunk.size_bytes() - bytes;
        u64::try_from(chunk.sample_rows() - rows).unwrap_or(u64::MAX)
    }

    /// The last durable number of a sender.
    pub(super) fn sequence(&self, sender: SenderId) -> u64 {
        self.sequences.get(&sender).copied().unwrap_or_default()
    }

    /// Moves the rows in memory to those that are being flushed.
    pub(super) fn freeze(&mut self) {
        self.frozen.append(&mut self.active);
        self.frozen_bytes += std::mem::take(&mut self.active_bytes);
        self.active_since = None;
    }

    /// The rows of this moment.
    pub(super) fn snapshot(&self, range: TimeRange) -> Snapshot {
        let start = nanoseconds(range.start).max(self.floor);
        let end = nanoseconds(range.end).max(start);
        let span = Clip { start, end };
        let chunks = self.frozen.iter().chain(&self.active);
        let chunks = chunks.filter(|chunk| span.touches(chunk.ts_min, chunk.ts_max));
        Snapshot {
            parts: Arc::clone(&self.parts),
            chunks: chunks.cloned().collect(),
            span,
        }
    }
}

/// The chunk that takes the next rows: a new one when the last has enough, or is being read.
fn open_chunk(chunks: &mut Vec<Arc<Chunk>>) -> &mut Chunk {
    let last = chunks.last_mut().and_then(Arc::get_mut);
    if last.is_none_or(|chunk| limits::CHUNK_SIZE_BYTES <= chunk.size_bytes()) {
        chunks.push(Arc::default());
    }
    let last = chunks.last_mut().and_then(Arc::get_mut);
    last.expect("the last chunk is not shared")
}
