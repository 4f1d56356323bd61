//! Parts of an hour become one, and sums by minute and by hour are made with it.
//!
//! Sums are made of the finest rows that are left of the hour and of parts that were not merged
//! before, so they stay right after retention took the rows they were made of.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    catalog::Change,
    definition_file::read_definitions,
    engine::{Inner, lock},
    flush::{NewParts, RowPart, Services, sort_hosts},
    hash::IdSet,
    host_file::read_hosts,
    part::{HOUR_NS, Kind, Part, Resolution},
    row_file::{Clip, Fields, read_rows, row_groups},
    rows::{HostRow, Row, nanoseconds},
    series_index::Selected,
};
use crate::{
    model::Definitions,
    service::store::{StoreError, column::Column, limits},
};

/// Parts that are merged together.
type Group = Vec<Arc<Part>>;

/// Rows with the place of their service.
type Ranked = Vec<(usize, Row)>;

/// Every moment.
const ALWAYS: Clip = Clip {
    start: 0,
    end: u64::MAX,
};

/// Rows that are merged at a time, so that memory is bounded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Slice {
    /// Places of the first and the last service.
    services: (usize, usize),
    /// The first and the last stack.
    stacks: (u64, u64),
}

impl Inner {
    /// Merges the hours that are ripe.
    ///
    /// # Errors
    /// The disk's. Hours that were merged before stay merged.
    pub(super) fn compact(&self, now: Duration) -> Result<(), StoreError> {
        let parts = Arc::clone(&self.state().parts);
        let mut groups: BTreeMap<(u64, Kind, &Column), Group> = BTreeMap::new();
        for part in parts.iter() {
            let facts = &part.facts;
            if facts.kind != Kind::Definitions {
                let key = (facts.partition, facts.kind, &facts.column);
                groups.entry(key).or_default().push(Arc::clone(part));
            }
        }
        for ((hour, kind, column), group) in groups {
            let fresh = group.iter().filter(|part| part.facts.level == 0).count();
            let ripe_at = hour.saturating_add(HOUR_NS + nanoseconds(self.options.merge_delay));
            let is_ripe = ripe_at <= nanoseconds(now) || self.options.merge_parts <= fresh;
            if 0 < fresh && is_ripe {
                self.merge((hour, kind, column), &group)?;
                self.counters.compactions.bump();
            }
        }
        self.merge_definitions(&parts)
    }

    /// Merges the parts of one hour and column.
    fn merge(
        &self,
        (hour, kind, column): (u64, Kind, &Column),
        group: &[Arc<Part>],
    ) -> Result<(), StoreError> {
        let mut parts = NewParts::new(self);
        if kind == Kind::Hosts {
            self.merge_hosts(&mut parts, hour, group)?;
        } else {
            self.merge_rows(&mut parts, (hour, kind, column), group)?;
        }
        parts.commit(group, &Change::default(), |_state| {})
    }

    /// Merges rows, slice by slice, into one part for each resolution.
    fn merge_rows(
        &self,
        parts: &mut NewParts<'_>,
        (hour, kind, column): (u64, Kind, &Column),
        group: &[Arc<Part>],
    ) -> Result<(), StoreError> {
        let services = Services::of(self);
        let slices = self.slices(group, &services, kind)?;
        let base = finest(group);
        let create = |resolution| {
            let facts = parts.head(kind, 1, resolution, hour);
            RowPart::create(parts, facts, column)
        };
        let levels = levels(kind, base).map(create);
        let mut levels: Vec<RowPart<'_>> = levels.collect::<Result<_, _>>()?;
        for slice in slices {
            let mut rows = self.read_slice(group, slice, base, &services)?;
            rows.sort_unstable_by_key(key);
            for level in &mut levels {
                coarsen(&mut rows, level.facts.resolution, &services);
                for (rank, row) in &rows {
                    level.push(services.name(*rank), *row)?;
                }
            }
        }
        (levels.into_iter()).try_for_each(|level| level.finish(parts))
    }

    /// Rows of a slice, with the place of their service: those of parts that were not merged yet,
    /// and merged ones of one resolution.
    fn read_slice(
        &self,
        group: &[Arc<Part>],
        slice: Slice,
        base: Resolution,
        services: &Services,
    ) -> Result<Ranked, StoreError> {
        let mut rows = Vec::new();
        for part in inputs(group, base) {
            self.read_part(part, slice, services, &mut |rank, row| {
                rows.push((rank, row));
            })?;
        }
        Ok(rows)
    }

    /// Gives the rows of a slice of one part to `each`.
    fn read_part(
        &self,
        part: &Part,
        slice: Slice,
        services: &Services,
        each: &mut impl FnMut(usize, Row),
    ) -> Result<(), StoreError> {
        let foot = self.feet.of(part, &self.counters)?;
        let (first, last) = slice.services;
        let selected = Selected::Some {
            ids: IdSet::default(),
            services: services.between(first, last).cloned().collect(),
        };
        let groups = row_groups(&foot, &ALWAYS, &selected);
        let fields = Fields {
            ts: true,
            series: true,
            stack: true,
        };
        read_rows(part, foot, groups, fields, &mut |row| {
            let rank = services.rank(row.series);
            let is_in = (first..=last).contains(&rank)
                && (slice.stacks.0..=slice.stacks.1).contains(&row.stack);
            if is_in {
                each(rank, row);
            }
        })
    }

    /// Cuts the rows of some parts into slices that fit in memory.
    fn slices(
        &self,
        group: &[Arc<Part>],
        services: &Services,
        kind: Kind,
    ) -> Result<Vec<Slice>, StoreError> {
        let total: u64 = group.iter().map(|part| part.facts.rows).sum();
        let last = services.last();
        if total <= limits::MERGE_ROWS_MAX {
            return Ok(vec![whole(0, last)]);
        }
        let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
        for part in group {
            let foot = self.feet.of(part, &self.counters)?;
            let groups = row_groups(&foot, &ALWAYS, &Selected::All);
            let fields = Fields {
                ts: false,
                series: true,
                stack: false,
            };
            read_rows(part, foot, groups, fields, &mut |row| {
                *counts.entry(services.rank(row.series)).or_default() += 1;
            })?;
        }
        Ok(cut(&counts, kind))
    }

    /// Merges the quality of one hour.
    fn merge_hosts(
        &self,
        parts: &mut NewParts<'_>,
        hour: u64,
        group: &[Arc<Part>],
    ) -> Result<(), StoreError> {
        let base = finest(group);
        let mut rows: Vec<HostRow> = Vec::new();
        for part in inputs(group, base) {
            let foot = self.feet.of(part, &self.counters)?;
            read_hosts(part, foot, (&ALWAYS, None), &mut |row| rows.push(row))?;
        }
        for resolution in levels(Kind::Hosts, base) {
            let step = resolution.step_ns();
            for row in &mut rows {
                row.ts -= row.ts % step;
            }
            sort_hosts(&mut rows);
            rows.dedup_by(|next, sum| {
                let is_equal =
                    (next.ts, &next.host, &next.signal) == (sum.ts, &sum.host, &sum.signal);
                if is_equal {
                    sum.add(next);
                }
                is_equal
            });
            let facts = parts.head(Kind::Hosts, 1, resolution, hour);
            parts.write_hosts(facts, &rows)?;
        }
        Ok(())
    }

    /// Merges files of definitions when there are many.
    fn merge_definitions(&self, parts: &[Arc<Part>]) -> Result<(), StoreError> {
        /// Files above this are left alone: merging them again and again would cost more than it
        /// saves.
        const SIZE_BYTES_MAX: u64 = 64 << 20;
        let files = parts.iter().filter(|part| {
            part.facts.kind == Kind::Definitions && part.facts.size_bytes < SIZE_BYTES_MAX
        });
        let files: Group = files.cloned().collect();
        if files.len() < limits::DEFINITION_FILES_MAX {
            return Ok(());
        }
        let (mut frames, mut stacks) = (BTreeSet::new(), BTreeSet::new());
        for part in &files {
            let Definitions {
                frames: more_frames,
                stacks: more_stacks,
            } = read_definitions(&part.path)?;
            frames.extend(more_frames.iter().map(|frame| frame.hash.id()));
            stacks.extend(more_stacks.iter().map(|stack| stack.hash.id()));
        }
        // The dictionary has the best name of each frame.
        let ids = (frames.into_iter().collect(), stacks.into_iter().collect());
        let definitions = self.state().dictionary.definitions(&ids);
        let mut merged = NewParts::new(self);
        merged.write_definitions(definitions)?;
        merged.commit(&files, &Change::default(), |_state| {})
    }

    /// Merges and drops what is due.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn upkeep(&self, now: Duration) -> Result<(), StoreError> {
        let _compacting = lock(&self.compacting);
        self.compact(now)?;
        self.retain(now)
    }
}

/// The finest rows that an hour still has: as they came, until retention takes those. All coarser ones
/// are made of them and of what was not merged yet. Finer ones are not written again once they were
/// dropped: the part would look as if it had all of the hour.
fn finest(group: &[Arc<Part>]) -> Resolution {
    let merged = group.iter().filter(|part| part.facts.level == 1);
    let merged = merged.map(|part| part.facts.resolution).min();
    merged.unwrap_or(Resolution::Raw)
}

/// Resolutions that a merge writes, finest first.
fn levels(kind: Kind, base: Resolution) -> impl Iterator<Item = Resolution> {
    let has = move |resolution: &Resolution| {
        base <= *resolution && (*resolution != Resolution::Service || kind == Kind::Samples)
    };
    Resolution::ALL.into_iter().filter(has)
}

/// Parts that a merge reads.
fn inputs(group: &[Arc<Part>], base: Resolution) -> impl Iterator<Item = &Arc<Part>> {
    (group.iter()).filter(move |part| part.facts.level == 0 || part.facts.resolution == base)
}

/// Services from one place to another, all stacks.
fn whole(first: usize, last: usize) -> Slice {
    Slice {
        services: (first, last),
        stacks: (0, u64::MAX),
    }
}

/// Slices of services with so many rows each. A service with too many is cut by stack.
fn cut(counts: &BTreeMap<usize, u64>, kind: Kind) -> Vec<Slice> {
    let mut slices: Vec<Slice> = Vec::new();
    let mut rows = 0_u64;
    for (rank, count) in counts {
        let pieces = count.div_ceil(limits::MERGE_ROWS_MAX);
        if 1 < pieces && kind == Kind::Samples {
            let width = u64::MAX / pieces;
            slices.extend((0..pieces).map(|piece| Slice {
                services: (*rank, *rank),
                stacks: (
                    piece * width + u64::from(0 < piece),
                    if piece + 1 == pieces {
                        u64::MAX
                    } else {
                        (piece + 1) * width
                    },
                ),
            }));
            rows = u64::MAX;
            continue;
        }
        match slices.last_mut() {
            Some(slice) if rows.saturating_add(*count) <= limits::MERGE_ROWS_MAX => {
                slice.services.1 = *rank;
                rows += count;
            }
            Some(_) | None => {
                slices.push(whole(*rank, *rank));
                rows = *count;
            }
        }
    }
    slices
}

/// Order of merged rows: service, stack, series, time.
fn key((rank, row): &(usize, Row)) -> (usize, u64, u64, u64) {
    (*rank, row.stack, row.series, row.ts)
}

/// Makes rows those of a coarser resolution, equal ones summed. They are in order and stay so: only
/// the last part of their key becomes coarser, and the series of a service become one.
fn coarsen(rows: &mut Ranked, resolution: Resolution, services: &Services) {
    let step = resolution.step_ns();
    for (rank, row) in rows.iter_mut() {
        row.ts -= row.ts % step;
        if resolution == Resolution::Service {
            row.series = services.sum(*rank);
        }
    }
    rows.dedup_by(|next, sum| {
        let is_equal = key(next) == key(sum);
        if is_equal {
            sum.1.value = sum.1.value.saturating_add(next.1.value);
        }
        is_equal
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Slice, cut};
    use crate::service::store::{embedded::part::Kind, limits::MERGE_ROWS_MAX};

    #[test]
    fn slices_hold_every_stack_of_every_service_once() {
        let counts = BTreeMap::from([
            (0, 5),
            (2, MERGE_ROWS_MAX - 5),
            (3, 1),
            (4, MERGE_ROWS_MAX * 2 + 1),
            (7, 2),
        ]);
        let slices = cut(&counts, Kind::Samples);
        let services: Vec<(usize, usize)> = slices.iter().map(|slice| slice.services).collect();
        assert_eq!(
            vec![(0, 2), (3, 3), (4, 4), (4, 4), (4, 4), (7, 7)],
            services
        );
        let pieces: Vec<&Slice> = (slices.iter()).filter(|s| s.services == (4, 4)).collect();
        assert_eq!((0, u64::MAX), (pieces[0].stacks.0, pieces[2].stacks.1));
        for pair in pieces.windows(2) {
            assert_eq!(pair[0].stacks.1 + 1, pair[1].stacks.0);
        }
    }
}
