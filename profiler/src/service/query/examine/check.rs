//! A budget, measured and judged.

use std::time::Duration;

use super::{
    bottlenecks::{Ask, bottlenecks},
    evidence::{cpu_period_ns, seconds, to_f64},
    period::Period,
    select::Scope,
    slower::{Slower, slower},
    table::{Columns, table},
};
use crate::{
    model::{TimeRange, label},
    service::{
        insight::{
            Against, Budget, Finding, Histogram, Interval, Judged, Limit, Measure, Measured, Rules,
            SignalTable, Verdict, judge, limits::FINDINGS_MAX, proportion,
        },
        query::{QueryError, Reader, parse_selector},
        store::QueryLimits,
    },
};

/// Most findings or functions that are told of one limit.
const DETAILS_MAX: usize = 10;

/// What the service was told about what is too much.
#[derive(Clone, Debug, Default)]
pub struct Guide {
    /// What is a finding.
    pub rules: Rules,
    /// What is allowed; nothing is checked without.
    pub budget: Option<Budget>,
}

/// With what regressions against the baseline are compared; the time just before without.
pub type Baseline = Option<TimeRange>;

/// A budget, looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// One for each limit, in the order of the budget.
    pub limits: Vec<Judged>,
    /// When.
    pub range: TimeRange,
}

impl Checked {
    /// Whether any limit is broken.
    pub fn is_broken(&self) -> bool {
        (self.limits.iter()).any(|judged| judged.verdict == Verdict::Broken)
    }
}

/// Measures every limit of a budget in a span of time.
///
/// # Errors
/// A selector that cannot be understood; as [`Reader::merged`].
pub fn check(
    reader: &Reader,
    budget: &Budget,
    rules: &Rules,
    (range, baseline): (TimeRange, Baseline),
    limits: &QueryLimits,
) -> Result<Checked, QueryError> {
    let judged = budget.limits.iter().map(|limit| {
        let when = (range, baseline);
        check_limit(reader, limit, rules, when, limits)
    });
    Ok(Checked {
        limits: judged.collect::<Result<_, _>>()?,
        range,
    })
}

/// Measures one limit in a span of time, or as far back as it asks for.
///
/// # Errors
/// As [`check`].
pub fn check_limit(
    reader: &Reader,
    limit: &Limit,
    rules: &Rules,
    (range, baseline): (TimeRange, Baseline),
    limits: &QueryLimits,
) -> Result<Judged, QueryError> {
    let asked = limit.window.map(|window| range.end.saturating_sub(window));
    let range = TimeRange {
        start: asked.map_or(range.start, |start| start.min(range.start)),
        ..range
    };
    let scope = Scope {
        matchers: parse_selector(&limit.selector)?,
        range,
    };
    let measuring = Measuring {
        reader,
        rules,
        scope,
        baseline,
        limits,
    };
    Ok(judge(limit, measuring.measure(limit)?))
}

/// What measuring one limit needs.
struct Measuring<'a> {
    reader: &'a Reader,
    rules: &'a Rules,
    scope: Scope,
    baseline: Baseline,
    limits: &'a QueryLimits,
}

/// What was measured, if there was anything to measure.
type Answer = Result<Option<Measured>, QueryError>;

impl Measuring<'_> {
    /// The number that a limit is about.
    fn measure(&self, limit: &Limit) -> Answer {
        match &limit.measure {
            Measure::CpuShare { function, is_total } => self.cpu_share(function, *is_total),
            Measure::Cores { function } => self.cores(function.as_deref()),
            Measure::Waiting { reason } => self.waiting(reason.as_deref()),
            Measure::Latency {
                remote,
                phase,
                quantile,
            } => self.latency(remote.as_deref(), phase, *quantile),
            Measure::Calls { call } => self.calls(call.as_deref()),
            Measure::Allocation { function } => self.allocation(function.as_deref()),
            Measure::PageFaults => self.rate("page_fault", "faults"),
            Measure::Findings { kind, least } => {
                let ask = Ask {
                    limit: FINDINGS_MAX,
                    least: *least,
                    is_whole: false,
                };
                self.findings(ask, |finding| kind.is_none_or(|kind| kind == finding.kind))
            }
            Measure::Regressions { against } => self.regressions(*against),
            Measure::Rate { signal, kind } => self.rate(signal, kind),
        }
    }

    /// The part of the span of time that has data of a signal.
    fn period(&self, signal: &str) -> Result<Option<Period>, QueryError> {
        Period::of(self.reader, &self.scope, &[signal], self.limits)
    }

    /// Some kinds of values of a signal.
    fn table(
        &self,
        period: &Period,
        signal: &str,
        kinds: &[&str],
    ) -> Result<SignalTable, QueryError> {
        let columns = Columns {
            signal,
            kinds,
            sliced: &[],
        };
        let scope = self.scope.at(period.range);
        table(self.reader, &scope, &columns, &[], self.limits)
    }

    /// A number with the command that shows it.
    fn measured(&self, interval: Interval, signal: &str, kind: &str) -> Measured {
        let TimeRange { start, end } = self.scope.range;
        let to = end.as_secs() + u64::from(0 < end.subsec_nanos());
        Measured {
            interval,
            details: Vec::new(),
            command: format!(
                "profiler query flamegraph '{}' --signal {signal} --kind {kind} --from {} --to {to}",
                self.scope.text().replace('\'', "'\\''"),
                start.as_secs(),
            ),
        }
    }

    /// The share of a function in a signal, and what the signal adds up to.
    fn share(table: &SignalTable, function: &str, is_total: bool, samples: f64) -> Interval {
        let is_it = |site: &u32| &*table.sites[*site as usize].function == function;
        let (mut part, mut whole) = (0.0, 0.0);
        for path in &table.paths {
            let fits = if is_total {
                path.sites.iter().any(is_it)
            } else {
                path.sites.last().is_some_and(is_it)
            };
            let value = to_f64(path.values[0]);
            whole += value;
            part += if fits { value } else { 0.0 };
        }
        // What happened in this span of time is what is allowed or not: how it varied within does
        // not make it less sure, and a breach that just began is not to be doubted for it.
        proportion(&[(part, whole)], samples).0
    }

    /// The share of CPU time of a function.
    fn cpu_share(&self, function: &str, is_total: bool) -> Answer {
        let Some(period) = self.period("cpu")? else {
            return Ok(None);
        };
        let table = self.table(&period, "cpu", &["samples"])?;
        let share = Self::share(&table, function, is_total, whole(&table, 0));
        Ok(Some(self.measured(share, "cpu", "samples")))
    }

    /// CPUs in use, by a function with all it calls or in all.
    fn cores(&self, function: Option<&str>) -> Answer {
        let Some(period) = self.period("cpu")? else {
            return Ok(None);
        };
        let table = self.table(&period, "cpu", &["samples"])?;
        let scope = self.scope.at(period.range);
        let cpu_ns = whole(&table, 0) * cpu_period_ns(self.reader, &scope, self.limits)?;
        let cores = cpu_ns / 1e9 / seconds(period.length());
        let interval = match function {
            None => Interval::exact(cores),
            Some(name) => Self::share(&table, name, true, whole(&table, 0)).times(cores),
        };
        Ok(Some(self.measured(interval, "cpu", "cpu")))
    }

    /// Threads that wait on the average.
    fn waiting(&self, reason: Option<&str>) -> Answer {
        let Some(period) = self.period("offcpu")? else {
            return Ok(None);
        };
        let mut scope = self.scope.at(period.range);
        if let Some(reason) = reason {
            scope = scope.with(label::REASON, reason);
        }
        let sums = scope.sums_by(self.reader, ("offcpu", "delay"), &[], self.limits)?;
        let waited: f64 = sums.iter().map(|(_, sum)| to_f64(*sum)).sum();
        let threads = waited / 1e9 / seconds(period.length());
        Ok(Some(self.measured(
            Interval::exact(threads),
            "offcpu",
            "delay",
        )))
    }

    /// A percentile of what the network takes; the mean where lengths were not counted.
    fn latency(&self, remote: Option<&str>, phase: &str, quantile: f64) -> Answer {
        let Some(period) = self.period("tcp_counts")? else {
            return Ok(None);
        };
        let table = self.table(&period, "tcp_counts", &["events", "time"])?;
        let mut lengths = Histogram::default();
        let (mut events, mut time_ns) = (0.0, 0.0);
        for path in &table.paths {
            let levels: Vec<&str> = (path.sites.iter())
                .map(|s| &*table.sites[*s as usize].function)
                .collect();
            let [endpoint, _side, measure, rest @ ..] = levels.as_slice() else {
                continue;
            };
            if *measure != phase || !remote.is_none_or(|remote| endpoint.starts_with(remote)) {
                continue;
            }
            events += to_f64(path.values[0]);
            time_ns += to_f64(path.values[1]);
            if let Some(bucket) = rest.first() {
                lengths.add(bucket, to_f64(path.values[0]));
            }
        }
        if events <= 0.0 {
            return Ok(None);
        }
        let mean = || Interval::exact(time_ns / events);
        let interval = lengths.quantile(quantile).unwrap_or_else(mean);
        Ok(Some(self.measured(interval, "tcp_counts", "events")))
    }

    /// System calls a second.
    fn calls(&self, call: Option<&str>) -> Answer {
        let Some(period) = self.period("syscall_counts")? else {
            return Ok(None);
        };
        let table = self.table(&period, "syscall_counts", &["calls"])?;
        let is_it =
            |site: &u32| call.is_none_or(|call| &*table.sites[*site as usize].function == call);
        let calls = table
            .paths
            .iter()
            .filter(|path| path.sites.first().is_some_and(is_it));
        let count: f64 = calls.map(|path| to_f64(path.values[0])).sum();
        let rate = Interval::exact(count / seconds(period.length()));
        Ok(Some(self.measured(rate, "syscall_counts", "calls")))
    }

    /// Bytes allocated a second.
    fn allocation(&self, function: Option<&str>) -> Answer {
        let Some(function) = function else {
            return self.rate("alloc", "alloc_space");
        };
        let Some(period) = self.period("alloc")? else {
            return Ok(None);
        };
        let table = self.table(&period, "alloc", &["alloc_space", "alloc_objects"])?;
        let rate = whole(&table, 0) / seconds(period.length());
        let share = Self::share(&table, function, true, whole(&table, 1).max(1.0));
        Ok(Some(self.measured(
            share.times(rate),
            "alloc",
            "alloc_space",
        )))
    }

    /// Any value a second.
    fn rate(&self, signal: &str, kind: &str) -> Answer {
        let Some(period) = self.period(signal)? else {
            return Ok(None);
        };
        let scope = self.scope.at(period.range);
        let sums = scope.sums_by(self.reader, (signal, kind), &[], self.limits)?;
        let sum: f64 = sums.iter().map(|(_, sum)| to_f64(*sum)).sum();
        let rate = Interval::exact(sum / seconds(period.length()));
        Ok(Some(self.measured(rate, signal, kind)))
    }

    /// How many findings there are.
    fn findings(&self, ask: Ask, is_wanted: impl Fn(&Finding) -> bool) -> Answer {
        let selected = (self.scope.matchers.as_slice(), self.scope.range);
        let found = bottlenecks(self.reader, selected, self.rules, ask, self.limits)?;
        if found.signals.is_empty() {
            return Ok(None);
        }
        let wanted: Vec<&Finding> = found.findings.iter().filter(|f| is_wanted(f)).collect();
        let count = Interval::exact(count_of(wanted.len()));
        let mut measured = self.measured(count, "cpu", "samples");
        if let Some(first) = wanted.first() {
            measured.command.clone_from(&first.command);
        }
        let details = wanted.iter().take(DETAILS_MAX);
        measured.details = details
            .map(|finding| format!("{}: {}{}", finding.kind, finding.summary, at(finding)))
            .collect();
        Ok(Some(measured))
    }

    /// How many functions became slower.
    fn regressions(&self, against: Against) -> Answer {
        let when = (self.baseline, against);
        let Some(slower) = slower(self.reader, &self.scope, when, self.limits)? else {
            return Ok(None);
        };
        let count = Interval::exact(count_of(slower.len()));
        let mut measured = self.measured(count, "cpu", "samples");
        measured.details = slower.iter().take(DETAILS_MAX).map(Slower::told).collect();
        Ok(Some(measured))
    }
}

/// Where a finding is, where that is known: ` at src/table.c:24`.
fn at(finding: &Finding) -> String {
    let place = &finding.place;
    if place.file.is_empty() || place.line == 0 {
        String::new()
    } else {
        format!(" at {}:{}", place.file, place.line)
    }
}

/// Sum of one kind of value.
fn whole(table: &SignalTable, kind: usize) -> f64 {
    table
        .paths
        .iter()
        .map(|path| to_f64(path.values[kind]))
        .sum()
}

/// How many there are.
fn count_of(count: usize) -> f64 {
    to_f64(u64::try_from(count).unwrap_or(u64::MAX))
}

/// The span of time that a budget looks at when nothing else is said.
pub fn window_of(budget: &Budget, now: Duration) -> TimeRange {
    let end = now.saturating_add(Duration::from_nanos(1));
    TimeRange {
        start: end.saturating_sub(budget.window),
        end,
    }
}
