//! Everything that rules look at, read from the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    period::Period,
    select::Scope,
    table::{Columns, table},
};
use crate::{
    model::label,
    service::{
        insight::{Evidence, ThreadUse},
        query::{QueryError, Reader},
        store::QueryLimits,
    },
};

/// Signals that rules look at.
pub(super) const SIGNALS: [&str; 8] = [
    "cpu",
    "offcpu",
    "syscall",
    "syscall_counts",
    "alloc",
    "page_fault",
    "tcp",
    "tcp_counts",
];
/// Slices of time that sampled values are divided into: enough to tell clumps and growth, few
/// enough to be read.
const SLICES: u32 = 6;
/// Nanoseconds that a sample stands for where the data does not say: 99 a second.
const PERIOD_DEFAULT_NS: f64 = 1e9 / 99.0;
/// Threads that are told apart; the busiest count.
const THREADS_MAX: usize = 4_096;

/// Reads what a service did; nothing when there is no data.
///
/// # Errors
/// As [`Reader::merged`].
pub(super) fn evidence(
    reader: &Reader,
    service: &str,
    scope: &Scope,
    limits: &QueryLimits,
) -> Result<Option<Evidence>, QueryError> {
    let Some(period) = Period::of(reader, scope, &SIGNALS, limits)? else {
        return Ok(None);
    };
    let scope = &scope.at(period.range);
    let slices = period.slices(SLICES);
    let read = |signal: &str, kinds: &[&str], sliced: &[usize]| {
        let columns = Columns {
            signal,
            kinds,
            sliced,
        };
        table(reader, scope, &columns, &slices, limits)
    };
    let mut off_cpu = BTreeMap::new();
    for (reason, _sum) in scope.sums_by(reader, ("offcpu", "delay"), &[label::REASON], limits)? {
        let reason = reason.into_iter().next().unwrap_or_default();
        let columns = Columns {
            signal: "offcpu",
            kinds: &["delay", "events"],
            sliced: &[0],
        };
        let of_reason = scope.with(label::REASON, &reason);
        let waits = table(reader, &of_reason, &columns, &slices, limits)?;
        off_cpu.insert(reason, waits);
    }
    let cpu_period_ns = cpu_period_ns(reader, scope, limits)?;
    Ok(Some(Evidence {
        service: service.to_owned(),
        selector: scope.text(),
        start: period.range.start,
        span: period.length(),
        cpu_period_ns,
        cpu: read("cpu", &["samples"], &[0])?,
        off_cpu,
        run_queue: read("offcpu", &["runqueue"], &[0])?,
        threads: threads(reader, scope, &period, cpu_period_ns, limits)?,
        syscall: read("syscall", &["time", "calls"], &[])?,
        syscall_counts: read("syscall_counts", &["calls", "time"], &[])?,
        alloc: read(
            "alloc",
            &["alloc_space", "alloc_objects", "free_space", "free_objects"],
            &[0, 2],
        )?,
        page_fault: read("page_fault", &["faults", "memory"], &[0])?,
        tcp: read("tcp", &["time", "events"], &[])?,
        tcp_counts: read("tcp_counts", &["events", "time", "transferred"], &[])?,
    }))
}

/// Nanoseconds that a sample stands for.
pub(super) fn cpu_period_ns(
    reader: &Reader,
    scope: &Scope,
    limits: &QueryLimits,
) -> Result<f64, QueryError> {
    let sum = |kind| -> Result<f64, QueryError> {
        let sums = scope.sums_by(reader, ("cpu", kind), &[], limits)?;
        Ok(sums.iter().map(|(_, sum)| to_f64(*sum)).sum())
    };
    let (samples, nanoseconds) = (sum("samples")?, sum("cpu")?);
    Ok(if 0.0 < samples && 0.0 < nanoseconds {
        nanoseconds / samples
    } else {
        PERIOD_DEFAULT_NS
    })
}

/// Threads by CPU time, those included that only waited.
fn threads(
    reader: &Reader,
    scope: &Scope,
    period: &Period,
    cpu_period_ns: f64,
    limits: &QueryLimits,
) -> Result<Vec<ThreadUse>, QueryError> {
    let names = [label::PID, label::THREAD];
    let slices = period.slices(SLICES);
    let mut used: BTreeMap<Vec<String>, ThreadUse> = BTreeMap::new();
    // Every thread that was off the CPU is known, however short.
    for asked in [
        ("cpu", "samples"),
        ("offcpu", "runqueue"),
        ("offcpu", "delay"),
    ] {
        for (slice, range) in slices.iter().enumerate() {
            let sums = scope.at(*range).sums_by(reader, asked, &names, limits)?;
            for (thread, sum) in sums.into_iter().take(THREADS_MAX) {
                let known = (used.entry(thread)).or_insert_with_key(|n| no_use(n, slices.len()));
                match asked {
                    ("cpu", _) => known.cpu_ns[slice] = to_f64(sum) * cpu_period_ns,
                    (_, "runqueue") => known.queued_ns[slice] = to_f64(sum),
                    _ => {}
                }
            }
        }
    }
    Ok(used.into_values().collect())
}

/// A thread that took nothing.
fn no_use(names: &[String], slices: usize) -> ThreadUse {
    let name = |index: usize| names.get(index).cloned().unwrap_or_default();
    ThreadUse {
        pid: name(0),
        thread: name(1),
        cpu_ns: vec![0.0; slices],
        queued_ns: vec![0.0; slices],
    }
}

/// Signals that have data in a scope.
pub(super) fn signals(reader: &Reader, scope: &Scope) -> BTreeSet<String> {
    let types = reader.store().profile_types(scope.range);
    types.into_iter().map(|known| known.signal).collect()
}

/// Length of time, in seconds; never zero.
pub(in crate::service::query) fn seconds(length: Duration) -> f64 {
    length.as_secs_f64().max(1e-9)
}

/// Nearest floating-point number.
#[expect(
    clippy::cast_precision_loss,
    reason = "weights of samples; 53 bits are plenty"
)]
pub(in crate::service::query) fn to_f64(value: u64) -> f64 {
    value as f64
}
