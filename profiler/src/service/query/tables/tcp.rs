//! TCP connections, as they were counted: by far end and side.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{Table, TableAsk};
use crate::{
    model::TcpMeasure,
    service::{
        insight::{Histogram, SignalTable},
        query::{
            QueryError, Reader,
            examine::{Columns, tables_by, to_f64},
        },
        store::QueryLimits,
    },
};

/// The signal, and the word that has it recorded.
const SIGNAL: (&str, &str) = ("tcp_counts", "tcp");

/// How often something happened, and how long it took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TcpTimes {
    /// How often.
    pub count: u64,
    /// All together, in nanoseconds.
    pub time_ns: u64,
    /// Each.
    pub lengths: Histogram,
}

/// One far end, seen from one side, of what shares some labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TcpRow {
    /// Values of the labels.
    pub values: Vec<String>,
    /// The far end, `10.0.0.1:5432`; without a port where this side is the server.
    pub far_end: String,
    /// `client`, or `server :8080`.
    pub side: String,
    /// Connections that stood.
    pub connect: TcpTimes,
    /// Those that were refused.
    pub refused: u64,
    /// Those that nobody answered.
    pub timed_out: u64,
    /// Those that failed otherwise, or were given up.
    pub abandoned: u64,
    /// Waits until the server accepted.
    pub accept_queue: TcpTimes,
    /// From a request to the first byte of its answer.
    pub first_byte: TcpTimes,
    /// Round trips, as the kernel smooths them.
    pub round_trip: TcpTimes,
    /// Segments sent again.
    pub retransmits: u64,
    /// Bytes that the program sent.
    pub bytes_sent: u64,
    /// Bytes that it received.
    pub bytes_received: u64,
}

impl TcpRow {
    /// Time that somebody waited, in nanoseconds; round trips are part of the others.
    fn waited_ns(&self) -> u64 {
        let waits = [&self.connect, &self.accept_queue, &self.first_byte];
        waits
            .iter()
            .fold(0, |sum, wait| sum.saturating_add(wait.time_ns))
    }

    /// Bytes both ways.
    fn bytes(&self) -> u64 {
        self.bytes_sent.saturating_add(self.bytes_received)
    }

    /// Counts a path. Values are events, nanoseconds, bytes.
    fn add(&mut self, measure: &str, length: Option<&str>, [events, time_ns, bytes, ..]: [u64; 4]) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        match measure_of(measure) {
            Some(TcpMeasure::Refused) => add(&mut self.refused, events),
            Some(TcpMeasure::TimedOut) => add(&mut self.timed_out, events),
            Some(TcpMeasure::Abandoned) => add(&mut self.abandoned, events),
            Some(TcpMeasure::Retransmits) => add(&mut self.retransmits, events),
            Some(TcpMeasure::BytesSent) => add(&mut self.bytes_sent, bytes),
            Some(TcpMeasure::BytesReceived) => add(&mut self.bytes_received, bytes),
            Some(TcpMeasure::Connect) => self.connect.add(length, events, time_ns),
            Some(TcpMeasure::AcceptQueue) => self.accept_queue.add(length, events, time_ns),
            Some(TcpMeasure::FirstByte) => self.first_byte.add(length, events, time_ns),
            Some(TcpMeasure::RoundTrip) => self.round_trip.add(length, events, time_ns),
            // A later daemon may measure more.
            None => {}
        }
    }
}

impl TcpTimes {
    /// Adds events of one length.
    fn add(&mut self, length: Option<&str>, events: u64, time_ns: u64) {
        self.count = self.count.saturating_add(events);
        self.time_ns = self.time_ns.saturating_add(time_ns);
        if let Some(length) = length {
            self.lengths.add(length, to_f64(events));
        }
    }
}

/// The measure of a word.
fn measure_of(word: &str) -> Option<TcpMeasure> {
    (TcpMeasure::ALL.into_iter()).find(|measure| measure.as_str() == word)
}

/// Connections of a selection, those that were waited for the longest first, then those with the
/// most bytes.
///
/// # Errors
/// [`QueryError::NotRecorded`]; as [`Reader::merged_by`].
pub fn tcp(
    reader: &Reader,
    ask: &TableAsk,
    limits: &QueryLimits,
) -> Result<Table<TcpRow>, QueryError> {
    let source = ask.source(reader, SIGNAL, limits)?;
    let columns = Columns {
        signal: SIGNAL.0,
        kinds: &["events", "time", "transferred"],
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
        let weight = |row: &TcpRow| Reverse((row.waited_ns(), row.bytes()));
        (weight(a), &a.far_end, &a.side, &a.values).cmp(&(
            weight(b),
            &b.far_end,
            &b.side,
            &b.values,
        ))
    });
    ask.table(reader, (&source, SIGNAL.0), rows, limits)
}

/// The connections of a table. Levels are far end, side, measure, length.
fn rows_of(table: &SignalTable, values: &[String]) -> Vec<TcpRow> {
    let mut rows: BTreeMap<(&str, &str), TcpRow> = BTreeMap::new();
    for path in &table.paths {
        let mut levels = path.sites.iter();
        let mut level = || {
            levels
                .next()
                .map(|site| &*table.sites[*site as usize].function)
        };
        let (Some(far_end), Some(side), Some(measure)) = (level(), level(), level()) else {
            continue;
        };
        let row = rows.entry((far_end, side)).or_default();
        row.add(measure, level(), path.values);
    }
    let named = |((far_end, side), row): ((&str, &str), TcpRow)| TcpRow {
        values: values.to_vec(),
        far_end: far_end.to_owned(),
        side: side.to_owned(),
        ..row
    };
    rows.into_iter().map(named).collect()
}
