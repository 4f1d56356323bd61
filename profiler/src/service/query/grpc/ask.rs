//! Messages as questions: defaults filled in, bounds checked.

use std::time::Duration;

use crate::{
    clock,
    model::{BurstOrder, Pid, Selection, Signal, TimeRange},
    render::Format,
    service::{
        query::{
            By, QueryError, Question,
            limits::{
                BURST_PIDS_MAX, BURST_RATE_HZ_MAX, BURST_TIME_MAX, NODES_DEFAULT, NODES_MAX,
                NODES_MIN,
            },
            question::{at_most, check_name},
            range,
        },
        store::Store,
    },
    wire::v1::generated::{self as v1, BurstRequest, ExportFormat, GroupBy, TopRequest},
};

/// A selection; none is the default one.
pub(super) fn selection(
    message: Option<v1::Selection>,
    store: &dyn Store,
) -> Result<Selection, QueryError> {
    let message = message.unwrap_or_default();
    let question = Question {
        signal: message.signal,
        kind: message.kind,
        selector: message.selector,
        start: Duration::from_nanos(message.start_ns),
        end: Duration::from_nanos(message.end_ns),
    };
    question.resolve(store, clock::wall())
}

/// A span of time.
pub(super) fn span(start_ns: u64, end_ns: u64) -> Result<TimeRange, QueryError> {
    let (start, end) = (Duration::from_nanos(start_ns), Duration::from_nanos(end_ns));
    range(start, end, clock::wall())
}

/// A number of rows or nodes: zero is the default, and no more than the bound are given.
pub(super) fn limit(asked: u32, default: usize, most: usize) -> usize {
    match usize::try_from(asked) {
        Ok(0) => default,
        Ok(asked) => asked.min(most),
        Err(_) => most,
    }
}

/// A number of nodes.
pub(super) fn node_limit(asked: u32) -> usize {
    limit(asked, NODES_DEFAULT, NODES_MAX).max(NODES_MIN)
}

/// What the rows of a table stand for.
pub(super) fn by(message: &TopRequest) -> Result<By, QueryError> {
    match GroupBy::try_from(message.by) {
        Ok(GroupBy::Unspecified | GroupBy::Function) => Ok(By::Function),
        Ok(GroupBy::File) => Ok(By::File),
        Ok(GroupBy::Module) => Ok(By::Module),
        Ok(GroupBy::Label) => Ok(By::Label(message.label.clone())),
        Err(_unknown) => Err(QueryError::Unknown {
            what: "group of rows",
            number: message.by,
        }),
    }
}

/// The format of a file.
pub(super) fn format(number: i32) -> Result<Format, QueryError> {
    match ExportFormat::try_from(number) {
        Ok(ExportFormat::Unspecified | ExportFormat::Pprof) => Ok(Format::Pprof),
        Ok(ExportFormat::Collapsed) => Ok(Format::Collapsed),
        Ok(ExportFormat::Svg) => Ok(Format::Svg),
        Ok(ExportFormat::Json) => Ok(Format::Json),
        Ok(ExportFormat::Speedscope) => Ok(Format::Speedscope),
        Err(_unknown) => Err(QueryError::Unknown {
            what: "format",
            number,
        }),
    }
}

/// An order for a daemon. A burst has an end, and costs no more than its bounds say.
pub(super) fn burst(message: &BurstRequest) -> Result<BurstOrder, QueryError> {
    if message.host.is_empty() {
        return Err(QueryError::Missing { what: "the host" });
    }
    if message.rate_hz == 0 {
        return Err(QueryError::Missing { what: "the rate" });
    }
    if message.duration_ns == 0 {
        return Err(QueryError::Missing {
            what: "the length of the burst",
        });
    }
    check_name("the name of the host", &message.host)?;
    check_name("the name of the signal", &message.signal)?;
    let signal = match message.signal.as_str() {
        "" => Signal::Cpu.as_str(),
        named => named,
    };
    if !Signal::WATCHED.contains(&Signal::named(signal)) {
        return Err(QueryError::NoSuchSignal {
            signal: signal.to_owned(),
        });
    }
    let rate_hz = message.rate_hz;
    at_most("the rate", rate_hz.into(), BURST_RATE_HZ_MAX.into())?;
    let most_ns = BURST_TIME_MAX.as_nanos();
    at_most(
        "the length in nanoseconds",
        message.duration_ns.into(),
        most_ns,
    )?;
    let pids = message.pids.len() as u128;
    at_most("the number of processes", pids, BURST_PIDS_MAX as u128)?;
    Ok(BurstOrder {
        id: 0,
        signal: signal.to_owned(),
        rate_hz,
        duration: Duration::from_nanos(message.duration_ns),
        pids: message.pids.iter().copied().map(Pid).collect(),
    })
}
