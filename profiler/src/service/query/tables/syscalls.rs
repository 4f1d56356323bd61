//! System calls, as they were counted: how many, how they ended, how long they took.

use std::collections::BTreeMap;

use super::{Table, TableAsk};
use crate::service::{
    insight::{Histogram, SignalTable},
    query::{
        QueryError, Reader,
        examine::{Columns, tables_by, to_f64},
    },
    store::QueryLimits,
};

/// The signal, and the word that has it recorded.
const SIGNAL: (&str, &str) = ("syscall_counts", "syscall");
/// A call that did what it was asked.
const OK: &str = "ok";
/// A call that had not ended when a window was over: time, and no call.
const IN_FLIGHT: &str = "in flight";
/// A call in which its thread ended.
const NO_RETURN: &str = "no return";

/// One call of what shares some labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallRow {
    /// Values of the labels.
    pub values: Vec<String>,
    /// Name of the call.
    pub call: String,
    /// How often it ended, or its thread ended in it.
    pub calls: u64,
    /// How often it failed, by name of the error.
    pub errors: BTreeMap<String, u64>,
    /// Time in it, in nanoseconds; with what calls that had not ended took so far.
    pub time_ns: u64,
    /// The part of it of calls that had not ended.
    pub in_flight_ns: u64,
    /// How long those took that ended.
    pub lengths: Histogram,
}

impl CallRow {
    /// How often it failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.values().copied().fold(0, u64::saturating_add)
    }
}

/// System calls of a selection.
#[derive(Clone, Debug)]
pub struct Calls {
    /// Those with the most time first.
    pub table: Table<CallRow>,
    /// Time in all of them, in nanoseconds.
    pub time_ns: u64,
}

/// System calls of a selection.
///
/// # Errors
/// [`QueryError::NotRecorded`]; as [`Reader::merged_by`].
pub fn syscalls(
    reader: &Reader,
    ask: &TableAsk,
    limits: &QueryLimits,
) -> Result<Calls, QueryError> {
    let source = ask.source(reader, SIGNAL, limits)?;
    let columns = Columns {
        signal: SIGNAL.0,
        kinds: &["calls", "time"],
        sliced: &[],
    };
    let mut rows = Vec::new();
    if source.period.is_some() {
        let by = (ask.group_by.as_slice(), limits);
        for group in tables_by(reader, &source.scope, &columns, &[], by)? {
            rows.extend(rows_of(&group.table, &group.values));
        }
    }
    rows.sort_by(|a, b| {
        let key = |row: &CallRow| std::cmp::Reverse((row.time_ns, row.calls));
        (key(a), &a.call, &a.values).cmp(&(key(b), &b.call, &b.values))
    });
    let times = rows.iter().map(|row| row.time_ns);
    let time_ns = times.fold(0, u64::saturating_add);
    let table = ask.table(reader, (&source, SIGNAL.0), rows, limits)?;
    Ok(Calls { table, time_ns })
}

/// The calls of a table. Levels are call, outcome, length.
fn rows_of(table: &SignalTable, values: &[String]) -> Vec<CallRow> {
    let mut rows: BTreeMap<&str, CallRow> = BTreeMap::new();
    for path in &table.paths {
        let mut levels = path.sites.iter();
        let mut level = || {
            levels
                .next()
                .map(|site| &*table.sites[*site as usize].function)
        };
        let (Some(call), outcome, length) = (level(), level(), level()) else {
            continue;
        };
        let [calls, time_ns, ..] = path.values;
        let row = rows.entry(call).or_default();
        row.calls = row.calls.saturating_add(calls);
        row.time_ns = row.time_ns.saturating_add(time_ns);
        match outcome {
            Some(IN_FLIGHT) => row.in_flight_ns = row.in_flight_ns.saturating_add(time_ns),
            None | Some(OK | NO_RETURN) => {}
            Some(error) => {
                let count = row.errors.entry(error.to_owned()).or_default();
                *count = count.saturating_add(calls);
            }
        }
        if let Some(length) = length {
            row.lengths.add(length, to_f64(calls));
        }
    }
    let named = |(call, row): (&str, CallRow)| CallRow {
        values: values.to_vec(),
        call: call.to_owned(),
        ..row
    };
    rows.into_iter().map(named).collect()
}
