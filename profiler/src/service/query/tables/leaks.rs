//! Memory that keeps growing: by how much, for how long, and how sure that is.

use std::time::Duration;

use super::{
    HeapRow, MemoryRows, Table, TableAsk,
    heap::{KINDS, SIGNAL, Weight, age, weights},
};
use crate::{
    model::TimeRange,
    service::{
        insight::{GROWTH_SLICES_LEAST, Growth, Rules, growths},
        query::{
            QueryError, Reader,
            examine::{Columns, seconds, tables_by},
        },
        store::QueryLimits,
    },
};

/// Slices of time that growth is looked at in. Guess: enough to tell a line from a step, and few
/// enough to be read one by one.
const SLICES: u32 = 12;
/// Seconds of an hour.
const HOUR_SECONDS: f64 = 3_600.0;

/// One place whose memory grows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeakRow {
    /// The place, and what it allocated and keeps.
    pub heap: HeapRow,
    /// How it grows, in bytes an hour.
    pub growth: Growth,
    /// Since the slice of time in which it was first seen to allocate.
    pub age: Duration,
}

/// Places whose memory grows.
#[derive(Clone, Debug)]
pub struct Leaks {
    /// The places, those that surely grow the most first.
    pub table: Table<LeakRow>,
    /// Slices of time that growth was looked at in; below [`GROWTH_SLICES_LEAST`] there is nothing
    /// to be said and no row.
    pub slices: usize,
    /// Fewest slices of which something can be said.
    pub slices_least: usize,
    /// Places that allocated.
    pub places: usize,
}

/// A place, and the number of its group.
type Found = (usize, Weight);

/// Places of a selection whose memory grew, by the lower bound of their growth.
///
/// # Errors
/// [`QueryError::NotRecorded`]; as [`Reader::merged_by`].
pub fn leaks(
    reader: &Reader,
    (ask, rows_are): (&TableAsk, MemoryRows),
    rules: &Rules,
    limits: &QueryLimits,
) -> Result<Leaks, QueryError> {
    let source = ask.source(reader, SIGNAL, limits)?;
    let slices = source
        .period
        .map_or_else(Vec::new, |period| period.slices(SLICES));
    let columns = Columns {
        signal: SIGNAL.0,
        kinds: &KINDS,
        sliced: &[0, 2],
    };
    let mut groups = Vec::new();
    if GROWTH_SLICES_LEAST <= slices.len() {
        let by = (ask.group_by.as_slice(), limits);
        groups = tables_by(reader, &source.scope, &columns, &slices, by)?;
    }
    let mut found: Vec<Found> = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let weights = weights(&group.table, (rows_are, rules)).into_iter();
        found.extend(weights.map(|weight| (number, weight)));
    }
    let places = found.len();
    let grown: Vec<Vec<f64>> = (found.iter())
        .map(|(_group, weight)| hourly(&weight.grown, &slices))
        .collect();
    let grown = growths(&grown).unwrap_or_default();
    let mut growing: Vec<(Found, Growth)> = found.into_iter().zip(grown).collect();
    growing.retain(|(_found, growth)| 0.0 < growth.rate.value);
    growing.sort_by(|(_, a), (_, b)| {
        let key = |growth: &Growth| (growth.rate.low, growth.rate.value);
        let ((a_low, a), (b_low, b)) = (key(a), key(b));
        b_low.total_cmp(&a_low).then_with(|| b.total_cmp(&a))
    });
    let rows_total = growing.len();
    growing.truncate(ask.limit);
    let row = |((group, weight), growth): (Found, Growth)| LeakRow {
        heap: weight.row(reader, (&groups[group], rows_are)),
        growth,
        age: age(&slices, weight.first_slice.unwrap_or(slices.len())),
    };
    let rows = growing.into_iter().map(row).collect();
    let table = ask.table(reader, (&source, SIGNAL.0), rows, limits)?;
    Ok(Leaks {
        table: Table {
            rows_total,
            ..table
        },
        slices: slices.len(),
        slices_least: GROWTH_SLICES_LEAST,
        places,
    })
}

/// Growth in each slice, in bytes an hour.
#[expect(
    clippy::cast_precision_loss,
    reason = "bytes as a rate; 53 bits are plenty"
)]
fn hourly(grown: &[i64], slices: &[TimeRange]) -> Vec<f64> {
    let rate = |(slice, grown): (&TimeRange, i64)| {
        let length = slice.end.saturating_sub(slice.start);
        grown as f64 / seconds(length) * HOUR_SECONDS
    };
    let grown = grown.iter().copied().chain(std::iter::repeat(0));
    slices.iter().zip(grown).map(rate).collect()
}
