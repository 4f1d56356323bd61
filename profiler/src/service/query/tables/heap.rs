//! Memory that was allocated, and what of it is not freed: by function or by stack.

use std::{collections::HashMap, time::Duration};

use super::{Table, TableAsk};
use crate::{
    model::TimeRange,
    service::{
        insight::{Path, Rules, SignalTable, Site},
        query::{
            QueryError, Reader,
            examine::{Columns, GroupTable, locate, locate_in, tables_by},
        },
        store::QueryLimits,
    },
};

/// The signal, and the word that has it recorded.
pub(super) const SIGNAL: (&str, &str) = ("alloc", "alloc");
/// Its kinds of values, in the order in which rows have them.
pub(super) const KINDS: [&str; 4] = ["alloc_space", "alloc_objects", "free_space", "free_objects"];

/// What rows of memory stand for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MemoryRows {
    /// Functions that memory was allocated for.
    Functions,
    /// Whole stacks.
    Stacks,
}

/// Where memory is allocated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Values of the labels.
    pub values: Vec<String>,
    /// The function that the memory is for: past allocators and libraries.
    pub site: Site,
    /// Names of the functions of the stack, innermost first; empty where the row is a function.
    pub stack: Vec<String>,
}

/// One place of memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeapRow {
    /// Which place.
    pub place: Place,
    /// Bytes allocated.
    pub allocated_bytes: u64,
    /// Objects allocated.
    pub allocated_objects: u64,
    /// Bytes allocated less bytes freed: by how much more of them live at the end than did at the
    /// beginning.
    pub live_bytes: i64,
    /// Objects, the same way.
    pub live_objects: i64,
}

/// The heap of a selection, most live bytes first.
///
/// # Errors
/// [`QueryError::NotRecorded`]; as [`Reader::merged_by`].
pub fn heap(
    reader: &Reader,
    (ask, rows_are): (&TableAsk, MemoryRows),
    rules: &Rules,
    limits: &QueryLimits,
) -> Result<Table<HeapRow>, QueryError> {
    let source = ask.source(reader, SIGNAL, limits)?;
    let columns = Columns {
        signal: SIGNAL.0,
        kinds: &KINDS,
        sliced: &[],
    };
    let mut found = Vec::new();
    let mut groups = Vec::new();
    if source.period.is_some() {
        let by = (ask.group_by.as_slice(), limits);
        groups = tables_by(reader, &source.scope, &columns, &[], by)?;
    }
    for (number, group) in groups.iter().enumerate() {
        let weights = weights(&group.table, (rows_are, rules)).into_iter();
        found.extend(weights.map(|weight| (number, weight)));
    }
    found.sort_by(|(_, a), (_, b)| {
        let key = |weight: &Weight| (weight.live(0), weight.values[0]);
        key(b).cmp(&key(a))
    });
    let rows_total = found.len();
    found.truncate(ask.limit);
    let row = |(group, weight): (usize, Weight)| weight.row(reader, (&groups[group], rows_are));
    let rows = found.into_iter().map(row).collect();
    let table = ask.table(reader, (&source, SIGNAL.0), rows, limits)?;
    Ok(Table {
        rows_total,
        ..table
    })
}

/// What one place of a table weighs.
#[derive(Debug)]
pub(super) struct Weight {
    /// The function, as its place in the sites of the table.
    site: u32,
    /// The first of its stacks, as its place in the paths of the table.
    path: usize,
    /// By kind of value.
    pub(super) values: [u64; KINDS.len()],
    /// By slice of time: bytes allocated less bytes freed. Empty where time was not divided.
    pub(super) grown: Vec<i64>,
    /// The first slice in which it allocated; nothing where time was not divided.
    pub(super) first_slice: Option<usize>,
}

/// What each place of a table weighs, in no order.
pub(super) fn weights(table: &SignalTable, (rows_are, rules): (MemoryRows, &Rules)) -> Vec<Weight> {
    let mut weights: Vec<Weight> = Vec::new();
    let mut by_site: HashMap<u32, usize> = HashMap::new();
    for (number, path) in table.paths.iter().enumerate() {
        let Some(site) = rules
            .allocation_site(table, path)
            .or(path.sites.last().copied())
        else {
            continue;
        };
        let next = weights.len();
        let index = match rows_are {
            MemoryRows::Functions => *by_site.entry(site).or_insert(next),
            MemoryRows::Stacks => next,
        };
        if index == next {
            weights.push(Weight {
                site,
                path: number,
                values: [0; KINDS.len()],
                grown: Vec::new(),
                first_slice: None,
            });
        }
        weights[index].add(path);
    }
    weights
}

impl Weight {
    /// Adds a stack.
    fn add(&mut self, path: &Path) {
        for (sum, value) in self.values.iter_mut().zip(path.values) {
            *sum = sum.saturating_add(value);
        }
        for (kind, sign) in [(0, 1), (2, -1)] {
            let slices = &path.slices[kind];
            self.grown.resize(self.grown.len().max(slices.len()), 0);
            for (sum, value) in self.grown.iter_mut().zip(slices) {
                *sum = sum.saturating_add(sign * whole(*value));
            }
        }
        let first = path.slices[0].iter().position(|bytes| 0 < *bytes);
        self.first_slice = match (self.first_slice, first) {
            (Some(known), Some(first)) => Some(known.min(first)),
            (known, first) => known.or(first),
        };
    }

    /// What was allocated less what was freed: of bytes (0) or objects (1).
    pub(super) fn live(&self, kind: usize) -> i64 {
        whole(self.values[kind]).saturating_sub(whole(self.values[kind + 2]))
    }

    /// The place with what it allocated and keeps.
    pub(super) fn row(&self, reader: &Reader, group: (&GroupTable, MemoryRows)) -> HeapRow {
        HeapRow {
            place: self.place(reader, group),
            allocated_bytes: self.values[0],
            allocated_objects: self.values[1],
            live_bytes: self.live(0),
            live_objects: self.live(1),
        }
    }

    /// Which place it is, with its line.
    fn place(&self, reader: &Reader, (group, rows_are): (&GroupTable, MemoryRows)) -> Place {
        let table = &group.table;
        let mut site = table.sites[self.site as usize].clone();
        let path = &table.paths[self.path];
        let stack = match rows_are {
            MemoryRows::Functions => {
                locate(reader, table, &mut site);
                Vec::new()
            }
            MemoryRows::Stacks => {
                locate_in(reader, vec![(path.values[0], path.stack)], &mut site);
                let names = path.sites.iter().rev();
                names
                    .map(|site| table.sites[*site as usize].function.to_string())
                    .collect()
            }
        };
        Place {
            values: group.values.clone(),
            site,
            stack,
        }
    }
}

/// Length of time from the start of a slice to the end of all.
pub(super) fn age(slices: &[TimeRange], first: usize) -> Duration {
    let end = slices
        .last()
        .map_or_else(Duration::default, |slice| slice.end);
    let start = slices.get(first).map_or(end, |slice| slice.start);
    end.saturating_sub(start)
}

/// A value with a sign; the largest one there is for one that does not fit.
fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
