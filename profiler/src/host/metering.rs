//! What each family of probes costs: the kernel counts run times for moments only, because the
//! counting itself costs more than the shortest programs.
//!
//! Part of the composition root. A family is measured while it is on, and, when some of it stays
//! attached between its slices, apart from that while it pauses.

use std::time::Duration;

use profiler_common::counter::Tally;

use super::{
    families::{Family, family_of_program},
    governor::{FamilyCost, Measurement, STATISTICS_MIN, STATISTICS_WINDOW, Thinning},
    kernel_counts::code_of,
    probe::Probe,
};
use crate::clock;

/// What was counted of a family when a measurement of it began.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Duration,
    /// Run time with the cost of entering.
    spent: Duration,
    /// Whether it was on.
    is_on: bool,
}

/// What a family spent in all measurements since the last tick, in so much time.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    cpu: Duration,
    time: Duration,
}

impl Spent {
    /// CPU seconds a second; absent when it was looked at for too short.
    fn rate(self) -> Option<f64> {
        (STATISTICS_MIN <= self.time).then(|| self.cpu.as_secs_f64() / self.time.as_secs_f64())
    }
}

/// The measurements of a family.
#[derive(Clone, Copy, Debug, Default)]
struct Gauge {
    /// The one that runs.
    mark: Option<Mark>,
    on: Spent,
    paused: Spent,
}

/// What can be counted at any time.
#[derive(Clone, Debug, Default)]
struct Counted {
    at: Duration,
    process_cpu: Duration,
    drain_cpu: Duration,
    /// Records sent and lost, by family.
    records: Vec<(u64, u64)>,
}

/// Measures all families.
#[derive(Debug)]
pub(super) struct Meter {
    gauges: Vec<Gauge>,
    last: Counted,
    cpus: u32,
    /// Whether the kernel counts all the time.
    counts_always: bool,
}

impl Meter {
    /// Begins to measure.
    pub(super) fn start(
        probe: &mut Probe,
        families: &[Family],
        now: Duration,
        counts_always: bool,
    ) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let mut meter = Self {
            gauges: vec![Gauge::default(); families.len()],
            last: count(probe, families, now, Duration::ZERO),
            cpus: u32::try_from(cpus).unwrap_or(1),
            counts_always,
        };
        meter.begin_all(probe, families, now);
        meter
    }

    /// When [`Self::end_due`] wants to be called next.
    pub(super) fn due(&self) -> Option<Duration> {
        let marks = self.gauges.iter().filter_map(|gauge| gauge.mark);
        marks.map(|mark| mark.at + STATISTICS_WINDOW).min()
    }

    /// Measures every family for a moment, as it is now.
    pub(super) fn begin_all(&mut self, probe: &mut Probe, families: &[Family], now: Duration) {
        for (index, family) in families.iter().enumerate() {
            self.begin(probe, index, family, now);
        }
    }

    /// Measures a family for a moment, as it is now, when that is not known well enough.
    pub(super) fn begin(
        &mut self,
        probe: &mut Probe,
        index: usize,
        family: &Family,
        now: Duration,
    ) {
        let pauses = family.setting.is_on && family.plan.thinning == Thinning::Begins;
        let Some(gauge) = self.gauges.get_mut(index) else {
            return;
        };
        let known = if family.is_attached {
            gauge.on
        } else {
            gauge.paused
        };
        let is_useful = family.is_attached || pauses;
        if gauge.mark.is_some() || !is_useful || STATISTICS_WINDOW <= known.time {
            return;
        }
        probe.count_run_times(true);
        gauge.mark = Some(Mark {
            at: now,
            spent: spent(probe, family),
            is_on: family.is_attached,
        });
    }

    /// Ends the measurement of a family, before it is switched.
    pub(super) fn end(&mut self, probe: &mut Probe, index: usize, family: &Family, now: Duration) {
        let Some(gauge) = self.gauges.get_mut(index) else {
            return;
        };
        let Some(mark) = gauge.mark.take() else {
            return;
        };
        let sum = if mark.is_on {
            &mut gauge.on
        } else {
            &mut gauge.paused
        };
        sum.cpu += spent(probe, family).saturating_sub(mark.spent);
        sum.time += now.saturating_sub(mark.at);
        let is_counting = self.gauges.iter().any(|gauge| gauge.mark.is_some());
        if !is_counting && !self.counts_always {
            probe.count_run_times(false);
        }
    }

    /// Ends the measurements that took long enough.
    pub(super) fn end_due(&mut self, probe: &mut Probe, families: &[Family], now: Duration) {
        for (index, family) in families.iter().enumerate() {
            let mark = self.gauges.get(index).and_then(|gauge| gauge.mark);
            if mark.is_some_and(|mark| mark.at + STATISTICS_WINDOW <= now) {
                self.end(probe, index, family, now);
            }
        }
    }

    /// What was measured since this was last asked; begins again. `drain_cpu` is CPU time that taking
    /// samples out of the ring took so far.
    pub(super) fn take(
        &mut self,
        probe: &mut Probe,
        families: &[Family],
        now: Duration,
        drain_cpu: Duration,
    ) -> Measurement {
        for (index, family) in families.iter().enumerate() {
            self.end(probe, index, family, now);
        }
        let counted = count(probe, families, now, drain_cpu);
        let drained = counted.drain_cpu.saturating_sub(self.last.drain_cpu);
        let own = counted.process_cpu.saturating_sub(self.last.process_cpu);
        let measurement = Measurement {
            elapsed: now.saturating_sub(self.last.at),
            cpus: self.cpus,
            families: self.costs(families, &counted, drained),
            own: own.saturating_sub(drained),
        };
        self.last = counted;
        self.gauges.fill(Gauge::default());
        self.begin_all(probe, families, now);
        measurement
    }

    /// The cost of each family. Who drains the ring works for whose records they are.
    fn costs(&self, families: &[Family], counted: &Counted, drained: Duration) -> Vec<FamilyCost> {
        let since = self.last.at;
        let seconds = counted.at.saturating_sub(since).as_secs_f64().max(1e-3);
        let pairs = counted.records.iter().zip(&self.last.records);
        let records: Vec<(u64, u64)> = pairs
            .map(|(now, before)| {
                (
                    now.0.saturating_sub(before.0),
                    now.1.saturating_sub(before.1),
                )
            })
            .collect();
        let all: u64 = records.iter().map(|(records, _lost)| records).sum();
        let known = self.gauges.iter().zip(&records);
        let mut costs = Vec::with_capacity(families.len());
        for (family, (gauge, (records, lost))) in families.iter().zip(known) {
            let on_share = family.ledger.on_time(since, counted.at).as_secs_f64() / seconds;
            #[expect(clippy::cast_precision_loss, reason = "records of a second")]
            let part = *records as f64 / all.max(1) as f64;
            let drained = part * drained.as_secs_f64() / seconds / on_share.max(1e-3);
            costs.push(FamilyCost {
                while_on: gauge.on.rate().map(|kernel| kernel + drained),
                while_off: gauge.paused.rate(),
                on_share: on_share.min(1.0),
                records: *records,
                lost: *lost,
            });
        }
        costs
    }
}

/// Run time of the programs of a family so far, with what entering them costs.
fn spent(probe: &Probe, family: &Family) -> Duration {
    let signal = family.plan.signal;
    let run_times = probe.run_times(|program| family_of_program(program) == Some(signal));
    let once_ns = u64::try_from(family.plan.cost_per_run.as_nanos()).unwrap_or(u64::MAX);
    let entering = |runs: u64| Duration::from_nanos(once_ns.saturating_mul(runs));
    run_times
        .iter()
        .map(|run_time| run_time.time + entering(run_time.runs))
        .sum()
}

/// What can be counted at any time.
fn count(probe: &Probe, families: &[Family], now: Duration, drain_cpu: Duration) -> Counted {
    let records = |family: &Family| {
        code_of(family.plan.signal).map_or((0, 0), |code| {
            let lost = probe.tally(code, Tally::RingFull);
            (probe.tally(code, Tally::Sent) + lost, lost)
        })
    };
    Counted {
        at: now,
        process_cpu: clock::process_cpu(),
        drain_cpu,
        records: families.iter().map(records).collect(),
    }
}
