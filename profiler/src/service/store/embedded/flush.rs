//! Rows in memory become parts.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use super::{
    catalog::{Change, SeriesRow},
    definition_file::write_definitions,
    engine::{Inner, lock},
    files::{WholeFile, file_error, sync_dir, write_whole},
    hash::IdMap,
    host_file::write_hosts,
    part::{HOUR_NS, Kind, Part, PartFacts, Resolution, path_of},
    row_file::{RowSummary, RowWriter},
    rows::{Chunk, HostRow, Row},
    series_index::sum_of,
};
use crate::{
    clock,
    model::{Definitions, FrameId, Labels, ProfileType, SenderId, SeriesId, StackId},
    service::store::{StoreError, column::Column},
};

/// What a flush takes out of the state.
struct Frozen {
    /// Rows.
    chunks: Vec<Arc<Chunk>>,
    /// Definitions that are new.
    definitions: (Vec<FrameId>, Vec<StackId>),
    /// Series that are new or moved.
    series: std::collections::BTreeSet<SeriesId>,
    /// High-water marks that moved.
    sequences: BTreeMap<SenderId, u64>,
    /// The first segment of the log that holds other batches.
    wal_first: u64,
}

/// Files of a change that the catalogue does not have yet. They go when it fails.
pub(super) struct NewParts<'a> {
    /// The store.
    inner: &'a Inner,
    /// What was written.
    pub(super) facts: Vec<PartFacts>,
}

/// The column of parts that have none.
pub(super) fn no_column() -> Column {
    Column {
        profile_type: ProfileType {
            signal: String::new(),
            kind: String::new(),
            unit: String::new(),
        },
        period_ns: 0,
    }
}

impl<'a> NewParts<'a> {
    /// Nothing yet.
    pub(super) fn new(inner: &'a Inner) -> Self {
        let facts = Vec::new();
        Self { inner, facts }
    }

    /// The head of a part's facts, with a name of its own.
    pub(super) fn head(
        &self,
        kind: Kind,
        level: u8,
        resolution: Resolution,
        partition: u64,
    ) -> PartFacts {
        let number = self.inner.next_part.fetch_add(1, Ordering::Relaxed);
        let hour = partition / HOUR_NS;
        let suffix = if kind == Kind::Definitions {
            "defs"
        } else {
            "parquet"
        };
        PartFacts {
            name: format!(
                "L{level}-{}-{hour}-{number:012x}.{suffix}",
                resolution.name()
            ),
            kind,
            resolution,
            level,
            column: no_column(),
            partition,
            ts_min: partition,
            ts_max: partition,
            rows: 0,
            size_bytes: 0,
        }
    }

    /// Path of a part.
    pub(super) fn path(&self, facts: &PartFacts) -> PathBuf {
        path_of(&self.inner.dir, facts.kind, &facts.name)
    }

    /// Keeps a part whose file is written.
    ///
    /// # Errors
    /// The file is not there.
    pub(super) fn keep(
        &mut self,
        mut facts: PartFacts,
        summary: RowSummary,
    ) -> Result<(), StoreError> {
        let path = self.path(&facts);
        facts.rows = summary.rows;
        facts.ts_min = summary.ts_min.min(summary.ts_max);
        facts.ts_max = summary.ts_max;
        let metadata = fs::metadata(&path).map_err(|error| file_error(&path, &error));
        self.facts.push(facts);
        let size = metadata?.len();
        if let Some(facts) = self.facts.last_mut() {
            facts.size_bytes = size;
        }
        Ok(())
    }

    /// Writes a part of quality.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn write_hosts(
        &mut self,
        facts: PartFacts,
        rows: &[HostRow],
    ) -> Result<(), StoreError> {
        let path = self.path(&facts);
        write_whole(&path, |file| write_hosts((file, &path), facts.level, rows))?;
        let mut summary = RowSummary::default();
        for row in rows {
            summary.note(row.ts);
        }
        self.keep(facts, summary)
    }

    /// Writes a part of definitions.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn write_definitions(&mut self, definitions: Definitions) -> Result<(), StoreError> {
        let facts = self.head(Kind::Definitions, 0, Resolution::Raw, 0);
        let path = self.path(&facts);
        let rows = definitions.frames.len() + definitions.stacks.len();
        write_whole(&path, |file| write_definitions((file, &path), definitions))?;
        let summary = RowSummary {
            rows: u64::try_from(rows).unwrap_or(u64::MAX),
            ts_min: 0,
            ts_max: 0,
        };
        self.keep(facts, summary)
    }

    /// Makes the parts valid and others not, for the catalogue and for queries. Both see all of it
    /// or nothing.
    ///
    /// # Errors
    /// The disk's; nothing changes.
    pub(super) fn commit(
        mut self,
        removed: &[Arc<Part>],
        change: &Change,
        see: impl FnOnce(&mut super::state::State),
    ) -> Result<(), StoreError> {
        for kind in Kind::ALL {
            if self.facts.iter().any(|facts| facts.kind == kind) {
                sync_dir(&self.inner.dir.join(kind.folder()))?;
            }
        }
        let facts = std::mem::take(&mut self.facts);
        let applied = lock(&self.inner.catalog).apply_with_parts(change, &facts, removed);
        if let Err(error) = applied {
            // Any other error leaves open whether the next start finds the change made: then the
            // files must be there, and else they are swept.
            if matches!(error, StoreError::Full { .. }) {
                self.facts = facts;
            }
            return Err(error);
        }
        let added = (facts.into_iter()).map(|facts| Part::new(&self.inner.dir, facts));
        let mut state = self.inner.state_mut();
        let is_kept = |part: &&Arc<Part>| !removed.iter().any(|other| Arc::ptr_eq(part, other));
        state.parts = Arc::new(
            state
                .parts
                .iter()
                .filter(is_kept)
                .cloned()
                .chain(added)
                .collect(),
        );
        see(&mut state);
        drop(state);
        for part in removed {
            self.inner.feet.forget(part);
            part.doom();
        }
        Ok(())
    }
}

impl Drop for NewParts<'_> {
    fn drop(&mut self) {
        for facts in &self.facts {
            // What stays is swept at the next start.
            drop(fs::remove_file(self.path(facts)));
        }
    }
}

impl Inner {
    /// Writes rows in memory as parts when there are many or they are old.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn flush_if_due(&self) -> Result<(), StoreError> {
        let state = self.state();
        let is_old = (state.active_since)
            .is_some_and(|since| since + self.options.flush_age <= clock::monotonic());
        let is_due =
            is_old || self.options.flush_bytes <= state.active_bytes || !state.frozen.is_empty();
        drop(state);
        if is_due { self.flush() } else { Ok(()) }
    }

    /// Writes rows in memory as parts, and forgets the segments of the log that hold them.
    ///
    /// # Errors
    /// The disk's. The rows stay in memory and in the log, and the next flush takes them.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let flushed = self.flush_all();
        if let Err(error) = &flushed {
            self.note_write(Err(error));
        }
        flushed
    }

    /// Does what [`Self::flush`] says.
    fn flush_all(&self) -> Result<(), StoreError> {
        let _flushing = lock(&self.flushing);
        let Some(frozen) = self.freeze()? else {
            return Ok(());
        };
        if let Err(error) = self.write_frozen(&frozen) {
            let mut state = self.state_mut();
            state.dictionary.give_back(frozen.definitions);
            state.series.give_back(frozen.series);
            for (sender, sequence) in frozen.sequences {
                state.fresh_sequences.entry(sender).or_insert(sequence);
            }
            return Err(error);
        }
        self.counters.flushes.bump();
        lock(&self.wal).remove_before(frozen.wal_first)
    }

    /// Draws a line through the log and memory at the same place. `None` when nothing waits.
    fn freeze(&self) -> Result<Option<Frozen>, StoreError> {
        let mut wal = lock(&self.wal);
        let state = self.state();
        let is_empty = state.active.is_empty() && state.frozen.is_empty();
        drop(state);
        if is_empty {
            return Ok(None);
        }
        wal.rotate()?;
        let mut state = self.state_mut();
        state.freeze();
        Ok(Some(Frozen {
            chunks: state.frozen.clone(),
            definitions: state.dictionary.take_fresh(),
            series: state.series.take_fresh(),
            sequences: std::mem::take(&mut state.fresh_sequences),
            wal_first: wal.segment(),
        }))
    }

    /// Writes parts and makes them valid.
    fn write_frozen(&self, frozen: &Frozen) -> Result<(), StoreError> {
        let mut parts = NewParts::new(self);
        self.write_chunks(&mut parts, &frozen.chunks)?;
        let state = self.state();
        let definitions = state.dictionary.definitions(&frozen.definitions);
        let to_row = |id: &SeriesId| {
            let entry = state.series.get(id.0)?;
            Some(SeriesRow {
                id: *id,
                labels: Labels::clone(&entry.labels),
                last_ts: entry.last_ts,
            })
        };
        let mut change = Change {
            senders: frozen
                .sequences
                .iter()
                .map(|(id, mark)| (*id, *mark))
                .collect(),
            series: frozen.series.iter().filter_map(to_row).collect(),
            meta: vec![("wal_first", frozen.wal_first)],
            ..Change::default()
        };
        change.take_aliases(&state.dictionary);
        drop(state);
        if !definitions.frames.is_empty() || !definitions.stacks.is_empty() {
            parts.write_definitions(definitions)?;
        }
        parts.commit(&[], &change, |state| {
            state.frozen.clear();
            state.frozen_bytes = 0;
        })
    }

    /// Writes a part for each hour and column of some rows.
    fn write_chunks(
        &self,
        parts: &mut NewParts<'_>,
        chunks: &[Arc<Chunk>],
    ) -> Result<(), StoreError> {
        let services = Services::of(self);
        for (kind, rows) in [
            (
                Kind::Samples,
                by_hour(chunks.iter().map(|chunk| &chunk.samples)),
            ),
            (
                Kind::Totals,
                by_hour(chunks.iter().map(|chunk| &chunk.totals)),
            ),
        ] {
            for ((column, hour), mut rows) in rows {
                rows.sort_unstable_by_key(|row| {
                    (services.rank(row.series), row.series, row.ts, row.stack)
                });
                let facts = parts.head(kind, 0, Resolution::Raw, hour);
                let mut part = RowPart::create(parts, facts, column)?;
                for row in rows {
                    part.push(services.name(services.rank(row.series)), row)?;
                }
                part.finish(parts)?;
            }
        }
        let mut hosts: BTreeMap<u64, Vec<HostRow>> = BTreeMap::new();
        for row in chunks.iter().flat_map(|chunk| &chunk.hosts) {
            hosts
                .entry(row.ts - row.ts % HOUR_NS)
                .or_default()
                .push(row.clone());
        }
        for (hour, mut rows) in hosts {
            sort_hosts(&mut rows);
            let facts = parts.head(Kind::Hosts, 0, Resolution::Raw, hour);
            parts.write_hosts(facts, &rows)?;
        }
        Ok(())
    }
}

/// A part of rows on its way to the disk. Its file goes when it is dropped before it is finished.
pub(super) struct RowPart<'a> {
    /// What it is.
    pub(super) facts: PartFacts,
    whole: WholeFile,
    writer: RowWriter<'a>,
}

impl<'a> RowPart<'a> {
    /// A part without rows.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(super) fn create(
        parts: &NewParts<'_>,
        mut facts: PartFacts,
        column: &'a Column,
    ) -> Result<Self, StoreError> {
        facts.column = column.clone();
        let path = parts.path(&facts);
        let (whole, file) = WholeFile::create(&path)?;
        let writer = RowWriter::new((file, &path), facts.kind, facts.level, column)?;
        Ok(Self {
            facts,
            whole,
            writer,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn push(&mut self, service: &Arc<str>, row: Row) -> Result<(), StoreError> {
        self.writer.push(service, row)
    }

    /// Makes it whole, and keeps it among others.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn finish(self, parts: &mut NewParts<'_>) -> Result<(), StoreError> {
        let summary = self.writer.finish()?;
        self.whole.finish()?;
        parts.keep(self.facts, summary)
    }
}

/// Puts rows in order of signal, time and host.
pub(super) fn sort_hosts(rows: &mut [HostRow]) {
    rows.sort_by(|a, b| (&a.signal, a.ts, &a.host).cmp(&(&b.signal, b.ts, &b.host)));
}

/// Rows of chunks, by column and hour.
fn by_hour<'a>(
    maps: impl Iterator<Item = &'a BTreeMap<Column, Vec<Row>>>,
) -> BTreeMap<(&'a Column, u64), Vec<Row>> {
    let mut hours: BTreeMap<(&Column, u64), Vec<Row>> = BTreeMap::new();
    for (column, rows) in maps.flatten() {
        for row in rows {
            let hour = row.ts - row.ts % HOUR_NS;
            hours.entry((column, hour)).or_default().push(*row);
        }
    }
    hours
}

/// Services in order, and the place of each series' among them.
pub(super) struct Services {
    /// In order; the empty one, of series without service, is the first.
    names: Vec<Arc<str>>,
    /// The series that stands for all of a service, by its place.
    sums: Vec<u64>,
    /// Place of each series' service.
    ranks: IdMap<usize>,
}

impl Services {
    /// The services of all series that are known now.
    pub(super) fn of(inner: &Inner) -> Self {
        let state = inner.state();
        let mut names = state.series.services();
        names.insert("".into());
        let names: Vec<Arc<str>> = names.into_iter().collect();
        let place = |service: &Arc<str>| names.binary_search(service).unwrap_or_default();
        let mut ranks: IdMap<usize> = (state.series.service_of().iter())
            .map(|(id, service)| (*id, place(service)))
            .collect();
        drop(state);
        let sums: Vec<u64> = names.iter().map(|name| sum_of(name).0).collect();
        ranks.extend(sums.iter().enumerate().map(|(rank, sum)| (*sum, rank)));
        Self { names, sums, ranks }
    }

    /// The series that stands for all of a service.
    pub(super) fn sum(&self, rank: usize) -> u64 {
        self.sums.get(rank).copied().unwrap_or_default()
    }

    /// Place of a series' service.
    pub(super) fn rank(&self, series: u64) -> usize {
        self.ranks.get(&series).copied().unwrap_or_default()
    }

    /// The service at a place.
    pub(super) fn name(&self, rank: usize) -> &Arc<str> {
        self.names.get(rank).expect("ranks are places in the list")
    }

    /// The last place.
    pub(super) fn last(&self) -> usize {
        self.names.len() - 1
    }

    /// Services between two places, both included.
    pub(super) fn between(&self, first: usize, last: usize) -> impl Iterator<Item = &Arc<str>> {
        self.names.get(first..=last).unwrap_or_default().iter()
    }
}
