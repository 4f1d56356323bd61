//! What all tables are drawn with.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    cli::query::{
        json,
        text::{Side, Table, quality_line},
    },
    model::ValueType,
    render::{clean, quantity, thousands},
    wire::v1::generated::{HeapRow, Label, Quality, Times},
};

/// What stands for a number that there is none of.
const NONE: &str = "-";
/// Functions of a stack that a line shows: who allocates, and for whom.
const STACK_SHOWN: usize = 4;

/// Columns: numbers, one for each label, then the rest.
pub(super) fn table(numbers: &[&str], group_by: &[String], last: &[&str]) -> Table {
    let labels: Vec<String> = group_by.iter().map(|name| name.to_uppercase()).collect();
    let numbers = numbers.iter().map(|name| (*name, Side::Right));
    let labels = labels.iter().map(|name| (name.as_str(), Side::Left));
    let last = last.iter().map(|name| (*name, Side::Left));
    Table::new(&numbers.chain(labels).chain(last).collect::<Vec<_>>())
}

/// Values of labels as cells.
pub(super) fn cells(labels: &[Label]) -> impl Iterator<Item = String> {
    labels.iter().map(|label| {
        if label.value.is_empty() {
            "(none)".to_owned()
        } else {
            clean(&label.value)
        }
    })
}

/// The value type of a unit.
fn unit(unit: &str) -> ValueType {
    ValueType {
        kind: String::new(),
        unit: unit.to_owned(),
    }
}

/// A length of time.
pub(super) fn time(ns: u64) -> String {
    quantity(ns, &unit("nanoseconds"))
}

/// Bytes.
pub(super) fn bytes(bytes: u64) -> String {
    quantity(bytes, &unit("bytes"))
}

/// Bytes with their sign.
pub(super) fn signed_bytes(value: i64) -> String {
    sign(value < 0, &bytes(value.unsigned_abs()))
}

/// A number with its sign.
pub(super) fn signed_count(value: i64) -> String {
    sign(value < 0, &thousands(value.unsigned_abs()))
}

/// Puts the sign before a number.
pub(super) fn sign(is_negative: bool, number: &str) -> String {
    format!("{}{number}", if is_negative { "-" } else { "" })
}

/// A number that is not negative, rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "for display; not negative, and rounded on purpose"
)]
pub(super) fn rounded(value: f64) -> u64 {
    value.round() as u64
}

/// So many a second; small numbers keep what is behind the point.
pub(super) fn rate(per_second: f64) -> String {
    if per_second < 100.0 {
        format!("{per_second:.2}")
    } else {
        thousands(rounded(per_second))
    }
}

/// The mean of times that are counted.
pub(super) fn mean_ns(times: &Times) -> Option<u64> {
    times.time_ns.checked_div(times.count)
}

/// The mean as a cell.
pub(super) fn mean(times: &Times) -> String {
    mean_ns(times).map_or_else(|| NONE.to_owned(), time)
}

/// A bound as a cell.
pub(super) fn at_most(ns: u64) -> String {
    if ns == 0 { NONE.to_owned() } else { time(ns) }
}

/// A count as a cell, where most are zero.
pub(super) fn rare(count: u64) -> String {
    if count == 0 {
        NONE.to_owned()
    } else {
        thousands(count)
    }
}

/// Times for programs; nothing for bounds that there are none of.
pub(super) fn times_json(times: Option<&Times>) -> Value {
    let times = times.copied().unwrap_or_default();
    let bound = |ns: u64| (0 < ns).then_some(ns);
    json!({
        "count": times.count,
        "time_ns": times.time_ns,
        "mean_ns": mean_ns(&times),
        "half_at_most_ns": bound(times.half_at_most_ns),
        "p95_at_most_ns": bound(times.p95_at_most_ns),
        "p99_at_most_ns": bound(times.p99_at_most_ns),
    })
}

/// Memory of one place for programs.
pub(super) fn heap_json(row: &HeapRow) -> Value {
    json!({
        "labels": json::labels(&row.labels),
        "function": row.function,
        "file": row.file,
        "line": row.line,
        "module": row.module,
        "stack": row.stack,
        "allocated_bytes": row.allocated_bytes,
        "allocated_objects": row.allocated_objects,
        "bytes_per_second": row.bytes_per_second,
        "objects_per_second": row.objects_per_second,
        "live_bytes": row.live_bytes,
        "live_objects": row.live_objects,
    })
}

/// A place as a cell: the function that memory is for, with its line, and who called it.
pub(super) fn place(row: &HeapRow) -> String {
    let mut site = clean(&row.function);
    if !row.file.is_empty() && 0 < row.line {
        site = format!("{site} ({}:{})", clean(&row.file), row.line);
    }
    let callers = row.stack.iter().skip_while(|name| **name != row.function);
    let callers = callers.skip(1).take(STACK_SHOWN - 1);
    let names = std::iter::once(site).chain(callers.map(|name| clean(name)));
    names.collect::<Vec<_>>().join(" < ")
}

/// Where a table comes from.
pub(super) struct Foot<'a> {
    /// The time that has data, nanoseconds since the Unix epoch.
    pub(super) span: (u64, u64),
    /// Rows that are shown, and that there are.
    pub(super) rows: (usize, u64),
    /// What must be known to read the numbers.
    pub(super) note: &'a str,
    /// How good the data is.
    pub(super) quality: Option<&'a Quality>,
}

impl Foot<'_> {
    /// The lines below a table.
    pub(super) fn draw(&self) -> String {
        let (start, end) = self.span;
        let seconds = Duration::from_nanos(end.saturating_sub(start)).as_secs_f64();
        let (shown, total) = self.rows;
        let mut parts = vec![format!("{shown} of {total} rows")];
        if 0 < total {
            parts.push(format!("{seconds:.0} s with data"));
        }
        parts.push(self.note.to_owned());
        parts.join(" · ") + "\n" + &quality_line(self.quality) + &losses(self.quality)
    }
}

/// What was lost by cause, where anything was.
fn losses(quality: Option<&Quality>) -> String {
    let lost = quality.map_or(&[][..], |quality| &quality.lost);
    let lost = lost.iter().filter(|count| 0 < count.count);
    let parts: Vec<String> = lost
        .map(|count| format!("{} {}", clean(&count.cause), thousands(count.count)))
        .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!("lost: {}\n", parts.join(", "))
    }
}

/// A share in percent that is never said to be all unless it is.
pub(super) fn sure(confidence: f64) -> String {
    let percent = (confidence * 1_000.0).floor() / 10.0;
    if confidence < 1.0 && 99.9 <= percent {
        return "> 99.9%".to_owned();
    }
    format!("{percent:.1}%")
}
