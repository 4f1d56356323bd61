//! Rows of the store: what batches are taken apart into.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::series_index::SeriesIndex;
use crate::{
    model::{HostWindow, SeriesId, StackId},
    service::store::{
        column::{Column, columns_of},
        quality_sum::QualitySum,
    },
};

/// One value of one stack of one series; in totals, the stack is zero.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Row {
    /// Start of the window or step, nanoseconds since the Unix epoch.
    pub(super) ts: u64,
    /// Whose it is.
    pub(super) series: u64,
    /// Which stack.
    pub(super) stack: u64,
    /// Periods, bytes or nanoseconds.
    pub(super) value: u64,
}

/// Windows of one signal of one host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct HostRow {
    /// Start of the window or step, nanoseconds since the Unix epoch.
    pub(super) ts: u64,
    /// Start of the last window in it.
    pub(super) last_ts: u64,
    /// How many windows.
    pub(super) windows: u64,
    /// The host.
    pub(super) host: Arc<str>,
    /// The signal.
    pub(super) signal: Arc<str>,
    /// Quality of all of them.
    pub(super) quality: QualitySum,
}

impl HostRow {
    /// Adds windows of the same host, signal and step.
    pub(super) fn add(&mut self, other: &Self) {
        self.last_ts = self.last_ts.max(other.last_ts);
        self.windows = self.windows.saturating_add(other.windows);
        self.quality.add(&other.quality);
    }
}

/// The rows of some batches, one after another. Never changed while a query reads them.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Start of the first window.
    pub(super) ts_min: u64,
    /// Start of the last window.
    pub(super) ts_max: u64,
    /// Values by stack.
    pub(super) samples: BTreeMap<Column, Vec<Row>>,
    /// Values without stack.
    pub(super) totals: BTreeMap<Column, Vec<Row>>,
    /// Quality.
    pub(super) hosts: Vec<HostRow>,
}

impl Default for Chunk {
    fn default() -> Self {
        Self {
            ts_min: u64::MAX,
            ts_max: 0,
            samples: BTreeMap::new(),
            totals: BTreeMap::new(),
            hosts: Vec::new(),
        }
    }
}

impl Chunk {
    /// Takes windows apart. Those that start before `floor` are left out; `settled` tells the id under
    /// which a stack is kept.
    pub(super) fn add(
        &mut self,
        windows: &[HostWindow],
        floor: u64,
        series: &mut SeriesIndex,
        settled: impl Fn(StackId) -> StackId,
    ) {
        for window in windows {
            let ts = nanoseconds(window.span.start);
            if ts < floor {
                continue;
            }
            self.ts_min = self.ts_min.min(ts);
            self.ts_max = self.ts_max.max(ts);
            self.hosts.push(HostRow {
                ts,
                last_ts: ts,
                windows: 1,
                host: window.host.as_str().into(),
                signal: window.signal.as_str().into(),
                quality: QualitySum::of(window),
            });
            self.add_samples(window, ts, series, &settled);
        }
    }

    /// Takes the samples of a window apart.
    fn add_samples(
        &mut self,
        window: &HostWindow,
        ts: u64,
        index: &mut SeriesIndex,
        settled: impl Fn(StackId) -> StackId,
    ) {
        for (place, column) in columns_of(window).into_iter().enumerate() {
            let mut rows = Vec::new();
            let mut totals = Vec::new();
            for series in &window.series {
                let id = SeriesId::of(&series.labels);
                let mut total = 0_u64;
                for sample in &series.samples {
                    let value = sample.values.get(place).copied().unwrap_or_default();
                    if 0 < value {
                        total = total.saturating_add(value);
                        let stack = settled(sample.stack).0;
                        let series = id.0;
                        rows.push(Row {
                            ts,
                            series,
                            stack,
                            value,
                        });
                    }
                }
                if 0 < total {
                    index.note(id, &series.labels, ts);
                    let (series, stack, value) = (id.0, 0, total);
                    totals.push(Row {
                        ts,
                        series,
                        stack,
                        value,
                    });
                }
            }
            if !rows.is_empty() {
                self.samples.entry(column.clone()).or_default().extend(rows);
                self.totals.entry(column).or_default().extend(totals);
            }
        }
    }

    /// How many values by stack.
    pub(super) fn sample_rows(&self) -> usize {
        self.samples.values().map(Vec::len).sum()
    }

    /// Memory its rows take.
    pub(super) fn size_bytes(&self) -> usize {
        let totals: usize = self.totals.values().map(Vec::len).sum();
        let rows = self.sample_rows() + totals;
        rows * size_of::<Row>() + self.hosts.len() * size_of::<HostRow>()
    }
}

/// Nanoseconds since the Unix epoch; the last one that can be told for what lies after.
pub(super) fn nanoseconds(time: Duration) -> u64 {
    // Half the range, because files keep signed numbers: the year 2262.
    let last = u64::MAX / 2;
    u64::try_from(time.as_nanos()).map_or(last, |ns| ns.min(last))
}
