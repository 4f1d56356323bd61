//! Tables as messages, and back.

use super::{answer::nanoseconds, ask};
use crate::{
    service::{
        insight::{Histogram, Rules},
        query::{
            CallRow, Calls, HeapRow, LeakRow, MemoryRows, QueryError, Reader, Table, TableAsk,
            TcpRow, TcpTimes, heap, leaks,
            limits::{ROWS_DEFAULT, ROWS_MAX, STACK_ROWS_MAX},
            parse_selector, syscalls, tcp,
        },
        store::QueryLimits,
    },
    wire::v1::{
        encode_quality,
        generated::{
            self as v1, Count, HeapRequest, HeapResponse, Label, LeaksRequest, LeaksResponse,
            SyscallsRequest, SyscallsResponse, TcpRequest, TcpResponse, Times, leaks_response,
            syscalls_response, tcp_response,
        },
    },
};

/// Which rows of what.
fn wanted(
    selection: Option<v1::Selection>,
    group_by: Vec<String>,
    limit: usize,
) -> Result<TableAsk, QueryError> {
    let selection = selection.unwrap_or_default();
    Ok(TableAsk {
        matchers: parse_selector(&selection.selector)?,
        range: ask::span(selection.start_ns, selection.end_ns)?,
        group_by,
        limit,
    })
}

/// What rows of memory stand for, and the most of them.
fn memory_rows(
    number: i32,
    limit: u32,
    default: MemoryRows,
) -> Result<(MemoryRows, usize), QueryError> {
    let rows = match v1::MemoryRows::try_from(number) {
        Ok(v1::MemoryRows::Unspecified) => default,
        Ok(v1::MemoryRows::Functions) => MemoryRows::Functions,
        Ok(v1::MemoryRows::Stacks) => MemoryRows::Stacks,
        Err(_unknown) => {
            return Err(QueryError::Unknown {
                what: "kind of rows",
                number,
            });
        }
    };
    let most = match rows {
        MemoryRows::Functions => ROWS_MAX,
        MemoryRows::Stacks => STACK_ROWS_MAX,
    };
    Ok((rows, ask::limit(limit, ROWS_DEFAULT, most)))
}

/// Answers with system calls.
///
/// # Errors
/// As [`syscalls`].
pub(super) fn answer_syscalls(
    reader: &Reader,
    asked: SyscallsRequest,
    limits: &QueryLimits,
) -> Result<SyscallsResponse, QueryError> {
    let limit = ask::limit(asked.limit, ROWS_DEFAULT, ROWS_MAX);
    let wanted = wanted(asked.selection, asked.group_by, limit)?;
    let Calls { table, time_ns } = syscalls(reader, &wanted, limits)?;
    let row = |row: &CallRow| syscalls_response::Row {
        labels: labels(&table.group_by, &row.values),
        call: row.call.clone(),
        times: Some(times((row.calls, row.time_ns), &row.lengths)),
        in_flight_ns: row.in_flight_ns,
        per_second: table.per_second(row.calls),
        failed: row.failed(),
        errors: errors(row),
    };
    Ok(SyscallsResponse {
        start_ns: nanoseconds(table.range.start),
        end_ns: nanoseconds(table.range.end),
        rows: table.rows.iter().map(row).collect(),
        rows_total: table.rows_total as u64,
        quality: Some(encode_quality(&table.quality)),
        time_ns,
    })
}

/// Errors of a call, the most frequent first.
fn errors(row: &CallRow) -> Vec<Count> {
    let count = |(name, count): (&String, &u64)| Count {
        cause: name.clone(),
        count: *count,
    };
    let mut errors: Vec<Count> = row.errors.iter().map(count).collect();
    errors.sort_by(|a, b| (b.count, &a.cause).cmp(&(a.count, &b.cause)));
    errors
}

/// Answers with TCP connections.
///
/// # Errors
/// As [`tcp`].
pub(super) fn answer_tcp(
    reader: &Reader,
    asked: TcpRequest,
    limits: &QueryLimits,
) -> Result<TcpResponse, QueryError> {
    let limit = ask::limit(asked.limit, ROWS_DEFAULT, ROWS_MAX);
    let wanted = wanted(asked.selection, asked.group_by, limit)?;
    let table = tcp(reader, &wanted, limits)?;
    Ok(TcpResponse {
        start_ns: nanoseconds(table.range.start),
        end_ns: nanoseconds(table.range.end),
        rows: (table.rows.iter())
            .map(|row| tcp_row(row, &table.group_by))
            .collect(),
        rows_total: table.rows_total as u64,
        quality: Some(encode_quality(&table.quality)),
    })
}

/// One far end.
fn tcp_row(row: &TcpRow, group_by: &[String]) -> tcp_response::Row {
    let taken = |taken: &TcpTimes| Some(times((taken.count, taken.time_ns), &taken.lengths));
    tcp_response::Row {
        labels: labels(group_by, &row.values),
        far_end: row.far_end.clone(),
        side: row.side.clone(),
        connect: taken(&row.connect),
        refused: row.refused,
        timed_out: row.timed_out,
        abandoned: row.abandoned,
        accept_queue: taken(&row.accept_queue),
        first_byte: taken(&row.first_byte),
        rtt: taken(&row.round_trip),
        retransmits: row.retransmits,
        bytes_sent: row.bytes_sent,
        bytes_received: row.bytes_received,
    }
}

/// Answers with the heap.
///
/// # Errors
/// As [`heap`].
pub(super) fn answer_heap(
    reader: &Reader,
    (rules, asked): (&Rules, HeapRequest),
    limits: &QueryLimits,
) -> Result<HeapResponse, QueryError> {
    let (rows_are, limit) = memory_rows(asked.rows, asked.limit, MemoryRows::Functions)?;
    let wanted = wanted(asked.selection, asked.group_by, limit)?;
    let table = heap(reader, (&wanted, rows_are), rules, limits)?;
    Ok(HeapResponse {
        start_ns: nanoseconds(table.range.start),
        end_ns: nanoseconds(table.range.end),
        rows: table.rows.iter().map(|row| heap_row(row, &table)).collect(),
        rows_total: table.rows_total as u64,
        quality: Some(encode_quality(&table.quality)),
    })
}

/// Memory of one place of a table.
fn heap_row<R>(row: &HeapRow, table: &Table<R>) -> v1::HeapRow {
    let (place, site) = (&row.place, &row.place.site);
    v1::HeapRow {
        labels: labels(&table.group_by, &place.values),
        function: site.function.as_ref().to_owned(),
        file: site.file.as_ref().to_owned(),
        line: site.line,
        module: site.module.as_ref().to_owned(),
        stack: place.stack.clone(),
        allocated_bytes: row.allocated_bytes,
        allocated_objects: row.allocated_objects,
        bytes_per_second: table.per_second(row.allocated_bytes),
        objects_per_second: table.per_second(row.allocated_objects),
        live_bytes: row.live_bytes,
        live_objects: row.live_objects,
    }
}

/// Answers with what grows.
///
/// # Errors
/// As [`leaks`].
pub(super) fn answer_leaks(
    reader: &Reader,
    (rules, asked): (&Rules, LeaksRequest),
    limits: &QueryLimits,
) -> Result<LeaksResponse, QueryError> {
    let (rows_are, limit) = memory_rows(asked.rows, asked.limit, MemoryRows::Stacks)?;
    let wanted = wanted(asked.selection, asked.group_by, limit)?;
    let leaks = leaks(reader, (&wanted, rows_are), rules, limits)?;
    let table = &leaks.table;
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let row = |row: &LeakRow| leaks_response::Row {
        heap: Some(heap_row(&row.heap, table)),
        bytes_per_hour: row.growth.rate.value,
        bytes_per_hour_low: row.growth.rate.low,
        bytes_per_hour_high: row.growth.rate.high,
        confidence: row.growth.confidence,
        growing_slices: number(row.growth.growing),
        age_ns: nanoseconds(row.age),
    };
    Ok(LeaksResponse {
        start_ns: nanoseconds(table.range.start),
        end_ns: nanoseconds(table.range.end),
        rows: table.rows.iter().map(row).collect(),
        rows_total: table.rows_total as u64,
        quality: Some(encode_quality(&table.quality)),
        slices: number(leaks.slices),
        slices_least: number(leaks.slices_least),
        places: leaks.places as u64,
    })
}

/// Labels of a row, in the order in which they were asked for.
fn labels(names: &[String], values: &[String]) -> Vec<Label> {
    let label = |(name, value): (&String, &String)| Label {
        name: name.clone(),
        value: value.clone(),
    };
    names.iter().zip(values).map(label).collect()
}

/// How long something took each time.
fn times((count, time_ns): (u64, u64), lengths: &Histogram) -> Times {
    let at_most = |share| whole(lengths.bound(share).unwrap_or_default());
    Times {
        count,
        time_ns,
        half_at_most_ns: at_most(0.5),
        p95_at_most_ns: at_most(0.95),
        p99_at_most_ns: at_most(0.99),
    }
}

/// A bound as a number of nanoseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounds are whole and not negative"
)]
fn whole(bound: f64) -> u64 {
    bound.round() as u64
}
