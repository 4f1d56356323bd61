//! The exact tables, as text.

use std::{cmp::Reverse, collections::BTreeMap, fmt::Write as _};

use super::units::{quantity, thousands};
use crate::model::{DurationBucket, Frame, Naming, Profile, ValueType};

/// How a call that did what it was asked is named.
const OK: &str = "ok";

/// One call of all processes.
#[derive(Default)]
struct Row {
    calls: u64,
    failed: u64,
    time_ns: u64,
    /// Calls by the upper bound of their duration, nanoseconds.
    by_bound_ns: BTreeMap<u64, u64>,
}

impl Row {
    /// The upper bound of the bucket that this share of the calls ended in, in percent; zero when
    /// none ended.
    fn quantile_ns(&self, percent: u64) -> u64 {
        let ended: u64 = self.by_bound_ns.values().sum();
        let rank = (ended.saturating_mul(percent)).div_ceil(100);
        let mut below = 0_u64;
        let mut bounds = self.by_bound_ns.iter();
        bounds
            .find(|(_bound, calls)| {
                below = below.saturating_add(**calls);
                rank <= below
            })
            .map_or(0, |(bound, _calls)| *bound)
    }
}

/// The name of a frame that is part of a table.
fn name_of(frame: &Frame) -> &str {
    match &frame.naming {
        Naming::Named(locations) => locations.last().map_or("", |location| &location.function),
        Naming::Unnamed(_) => "",
    }
}

/// The calls of a profile of counted system calls, by name.
fn rows(profile: &Profile) -> BTreeMap<&str, Row> {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for sample in &profile.samples {
        let frames = profile.stack(sample.stack).map(|stack| &stack.frames);
        let mut names = (frames.into_iter().flatten().rev())
            .filter_map(|frame| profile.frame(*frame))
            .map(name_of);
        let Some(call) = names.next() else { continue };
        let (outcome, bucket) = (names.next(), names.next());
        let value = |place| sample.values.get(place).copied().unwrap_or_default();
        let row = rows.entry(call).or_default();
        row.calls = row.calls.saturating_add(value(0));
        row.time_ns = row.time_ns.saturating_add(value(1));
        if let Some(bucket) = bucket.and_then(|text| text.parse::<DurationBucket>().ok()) {
            let (_lower, upper) = bucket.bounds_ns();
            *row.by_bound_ns.entry(upper).or_default() += value(0);
            if outcome != Some(OK) {
                row.failed = row.failed.saturating_add(value(0));
            }
        }
    }
    rows
}

/// A table of at most `limit` system calls, those with the most time first; each line ends in a
/// newline.
pub fn calls(profile: &Profile, limit: usize) -> String {
    let mut rows: Vec<(&str, Row)> = rows(profile).into_iter().collect();
    rows.sort_by(|(a_name, a), (b_name, b)| (b.time_ns, a_name).cmp(&(a.time_ns, b_name)));
    let time = |ns| quantity(ns, &value_type("nanoseconds"));
    let mut text = format!(
        "{:>12} {:>10} {:>11} {:>11} {:>11} {:>11}  SYSTEM CALL\n",
        "CALLS", "FAILED", "TIME", "MEAN", "HALF BELOW", "99% BELOW"
    );
    for (name, row) in rows.into_iter().take(limit) {
        // Writing to a text cannot fail.
        let _infallible = writeln!(
            text,
            "{:>12} {:>10} {:>11} {:>11} {:>11} {:>11}  {name}",
            thousands(row.calls),
            thousands(row.failed),
            time(row.time_ns),
            time(row.time_ns / row.calls.max(1)),
            time(row.quantile_ns(50)),
            time(row.quantile_ns(99)),
        );
    }
    text
}

/// A table of at most `limit` rows of TCP connections, by far end, side and measure; those with the
/// most time first, then those with the most bytes; each line ends in a newline.
pub fn connections(profile: &Profile, limit: usize) -> String {
    let mut rows: BTreeMap<[&str; 3], (Row, u64)> = BTreeMap::new();
    for sample in &profile.samples {
        let frames = profile.stack(sample.stack).map(|stack| &stack.frames);
        let mut names = (frames.into_iter().flatten().rev())
            .filter_map(|frame| profile.frame(*frame))
            .map(name_of);
        let key = [(); 3].map(|()| names.next().unwrap_or_default());
        let value = |place| sample.values.get(place).copied().unwrap_or_default();
        let (row, bytes) = rows.entry(key).or_default();
        row.calls = row.calls.saturating_add(value(0));
        row.time_ns = row.time_ns.saturating_add(value(1));
        *bytes = bytes.saturating_add(value(2));
        if let Some(bucket) = names
            .next()
            .and_then(|text| text.parse::<DurationBucket>().ok())
        {
            let (_lower, upper) = bucket.bounds_ns();
            *row.by_bound_ns.entry(upper).or_default() += value(0);
        }
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(names, (row, bytes))| (Reverse((row.time_ns, *bytes)), *names));
    let mut text = format!(
        "{:>10} {:>11} {:>11} {:>11} {:>11}  CONNECTION\n",
        "EVENTS", "MEAN", "HALF BELOW", "99% BELOW", "BYTES"
    );
    for (names, (row, bytes)) in rows.into_iter().take(limit) {
        // Writing to a text cannot fail.
        let _infallible = writeln!(
            text,
            "{:>10} {:>11} {:>11} {:>11} {:>11}  {}",
            thousands(row.calls),
            quantity(row.time_ns / row.calls.max(1), &value_type("nanoseconds")),
            quantity(row.quantile_ns(50), &value_type("nanoseconds")),
            quantity(row.quantile_ns(99), &value_type("nanoseconds")),
            quantity(bytes, &value_type("bytes")),
            names.join(" "),
        );
    }
    text
}

/// A value type of a unit.
fn value_type(unit: &str) -> ValueType {
    ValueType {
        kind: String::new(),
        unit: unit.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::calls;
    use crate::model::{
        FrameKind, Location, Naming, Profile, ProfileBuilder, Signal, Task, ValueType,
    };

    /// Names, outermost first, and values.
    type Row<'a> = (&'a [&'a str], [u64; 2]);

    /// A profile with rows.
    fn profile(rows: &[Row<'_>]) -> Profile {
        let value_type = |(kind, unit): &(&str, &str)| ValueType {
            kind: (*kind).to_owned(),
            unit: (*unit).to_owned(),
        };
        let types = Signal::SyscallCounts.value_types().iter().map(value_type);
        let mut builder = ProfileBuilder::new(types.collect());
        let task = builder.task(Task::default());
        for (names, values) in rows {
            let frames = (names.iter().rev())
                .map(|name| {
                    let function = (*name).to_owned();
                    let naming = Naming::Named(vec![Location {
                        function,
                        ..Location::default()
                    }]);
                    builder.frame(FrameKind::Table, None, 0, naming)
                })
                .collect();
            let stack = builder.stack(frames);
            builder.add(task, stack, values);
        }
        builder.finish()
    }

    #[test]
    fn calls_are_summed_over_outcomes_with_failures_and_quantiles() {
        let profile = profile(&[
            (&["read", "ok", "1 µs .. 2 µs"], [98, 150_000]),
            (&["read", "EAGAIN", "500 ns .. 1 µs"], [1, 600]),
            (&["read", "ok", "8 µs .. 16 µs"], [2, 20_000]),
            (&["read", "in flight"], [0, 1_000_000]),
            (&["close", "ok", "0 ns .. 125 ns"], [1_000, 100_000]),
        ]);
        let expected =
            "       CALLS     FAILED        TIME        MEAN  HALF BELOW   99% BELOW  SYSTEM CALL
         101          1     1.17 ms    11.59 µs     2.00 µs    16.00 µs  read
       1,000          0   100.00 µs      100 ns      125 ns      125 ns  close
";
        assert_eq!(expected, calls(&profile, 10));
    }
}
