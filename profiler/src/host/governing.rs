//! The governor at work: what it measures of the probe, and what it switches.
//!
//! Part of the composition root: it joins `governor` and `probe`.

use std::time::Duration;

use profiler_common::{counter::Tally, thinning::Thinning as KernelThinning};

use super::{
    families::{Family, family_of_program, plan_of},
    governor::{
        FamilyCost, FamilyState, Governor, Measurement, Memory, Relief, STATISTICS_WINDOW, Setting,
        Switch, TICK, Thinning,
    },
    hooks,
    kernel_counts::code_of,
    own_use::{OwnUse, map_size_bytes},
    probe::Probe,
};
use crate::{
    clock,
    config::{MaxMemory, MaxOverhead},
    model::Signal,
};

/// The first decision comes sooner: nothing is known of what the probe costs until then.
const FIRST_TICK: Duration = Duration::from_millis(250);

/// What the profiler may cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    /// Share of the host's CPU.
    pub overhead: MaxOverhead,
    /// Bytes of memory.
    pub memory: MaxMemory,
    /// Whether CPU samples may be taken less often than asked for.
    pub governs_cpu: bool,
    /// Whether the kernel counts run times all the time, and not only now and then.
    pub counts_always: bool,
}

impl Budget {
    /// No limit of anything.
    pub const UNLIMITED: Self = Self {
        overhead: MaxOverhead(None),
        memory: MaxMemory(None),
        governs_cpu: false,
        counts_always: false,
    };
}

/// What the governor says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Governed {
    /// Most that may be taken of the host's CPU, as a share.
    pub budget: Option<f64>,
    /// What was taken in the last second, as a share.
    pub overhead: f64,
    /// Bytes of memory in use: of this program, and of its maps in the kernel.
    pub memory_size_bytes: u64,
    /// What was given up for memory.
    pub relief: Relief,
    /// The families as they are now.
    pub families: Vec<FamilyState>,
}

/// What happened to a signal in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Coverage {
    /// Share of time, or of what was drawn, 0 to 1.
    pub(super) duty: f64,
    /// Share of the host's CPU that all signals took together.
    pub(super) overhead: f64,
    /// Share of the time since sampling began that samples stand for: 1 in the mean.
    represented: f64,
}

impl Coverage {
    /// What values are to be multiplied with when nothing comes after them: the pause that runs is
    /// stood for by nothing yet.
    pub(super) fn unrepresented(&self) -> f64 {
        if 0.0 < self.represented {
            1.0 / self.represented
        } else {
            1.0
        }
    }
}

/// What happened to every signal in a window.
#[derive(Clone, Debug, Default)]
pub(super) struct CoverageOfAll {
    overhead: f64,
    /// Duty and represented share, by family.
    families: Vec<(Signal, f64, f64)>,
}

impl CoverageOfAll {
    /// Of one signal; one that nobody governs is watched all the time.
    pub(super) fn of(&self, signal: Signal) -> Coverage {
        let mut families = self.families.iter();
        let found =
            families.find(|(watched, _, _)| *watched == signal || watched.table() == Some(signal));
        let (duty, represented) = found.map_or((1.0, 1.0), |(_, duty, share)| (*duty, *share));
        Coverage {
            duty,
            overhead: self.overhead,
            represented,
        }
    }
}

impl SliceSwitch {
    /// Whether nothing changes for what is in the tables: it is on, stays on, and is not thinned.
    #[expect(clippy::float_cmp, reason = "exactly one when it was never off")]
    pub(super) fn goes_on_whole(&self, weight: f64) -> bool {
        self.stays_on && weight == 1.0
    }
}

/// What the rest of the program knows of its own work.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OwnWork {
    /// CPU time that taking samples out of the ring took so far.
    pub(super) drain_cpu: Duration,
    /// Bytes of unwind tables in the kernel.
    pub(super) table_size_bytes: u64,
}

/// A slice that begins or ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct SliceSwitch {
    /// Place of the family.
    index: usize,
    /// What it watches.
    pub(super) signal: Signal,
    /// Whether it is attached now.
    pub(super) is_on: bool,
    /// Whether it is to be attached.
    stays_on: bool,
}

/// Sums from which a window's [`Coverage`] is made.
#[derive(Clone, Debug, Default)]
struct Sums {
    seconds: f64,
    /// Seconds of which the overhead was measured, and the sum of it.
    measured_seconds: f64,
    overhead_seconds: f64,
    /// By family.
    duty_seconds: Vec<f64>,
}

/// What was counted when a measurement began.
#[derive(Clone, Debug, Default)]
struct Mark {
    at: Duration,
    /// Run time with the cost of entering, by family.
    spent: Vec<Duration>,
}

/// What was counted at the last tick.
#[derive(Clone, Debug, Default)]
struct Counted {
    at: Duration,
    process_cpu: Duration,
    drain_cpu: Duration,
    /// Records sent and lost, by family.
    records: Vec<(u64, u64)>,
}

/// The governor with all it needs.
pub(super) struct Governing {
    governor: Governor,
    memory: Memory,
    families: Vec<Family>,
    rate_hz: u32,
    cpus: u32,
    counts_always: bool,
    /// Where the measurement that runs began; absent while the kernel does not count.
    counting: Option<Mark>,
    /// CPU seconds a second while on, by family, of the last measurement.
    while_on: Vec<Option<f64>>,
    last: Counted,
    tick_due: Duration,
    accrued_at: Duration,
    sums: Sums,
    map_size_bytes: u64,
    memory_size_bytes: u64,
}

impl Governing {
    /// Begins when everything is attached. `rate_hz` is what was asked for.
    pub(super) fn start(
        budget: &Budget,
        signals: &[Signal],
        rate_hz: u32,
        probe: &mut Probe,
    ) -> Self {
        let now = clock::monotonic();
        let mut plans: Vec<_> = hooks::families(signals)
            .filter_map(|signal| plan_of(signal, rate_hz, budget.governs_cpu))
            .collect();
        plans.sort_by_key(|(rank, _plan)| *rank);
        let plans: Vec<_> = plans.into_iter().map(|(_rank, plan)| plan).collect();
        let mut governing = Self {
            governor: Governor::new(budget.overhead.0, &plans),
            memory: Memory::new(budget.memory.0),
            families: (plans.into_iter().zip(1..))
                .map(|(plan, seed)| Family::start(plan, now, seed))
                .collect(),
            rate_hz,
            cpus: u32::try_from(std::thread::available_parallelism().map_or(1, usize::from))
                .unwrap_or(1),
            counts_always: budget.counts_always,
            counting: None,
            while_on: Vec::new(),
            last: Counted::default(),
            tick_due: now + FIRST_TICK,
            accrued_at: now,
            sums: Sums::default(),
            map_size_bytes: map_size_bytes(),
            memory_size_bytes: 0,
        };
        governing.last = governing.count(probe, now, Duration::ZERO);
        governing.begin_counting(probe, now);
        governing
    }

    /// When [`Self::poll`] wants to be called next.
    pub(super) fn due(&self) -> Duration {
        let counted = (self.counting.as_ref())
            .filter(|_mark| !self.keeps_counting())
            .map(|mark| mark.at + STATISTICS_WINDOW);
        let slices = self.families.iter().filter_map(Family::slices_due);
        slices.chain(counted).fold(self.tick_due, Duration::min)
    }

    /// Does what is due: measures, decides, switches.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn poll(
        &mut self,
        probe: &mut Probe,
        own: &OwnWork,
    ) -> anyhow::Result<Vec<SliceSwitch>> {
        let now = clock::monotonic();
        self.accrue(now);
        let is_tick = self.tick_due <= now;
        let is_counted = (self.counting.as_ref())
            .is_some_and(|mark| mark.at + STATISTICS_WINDOW <= now && !self.keeps_counting());
        if is_tick || is_counted {
            self.end_counting(probe, now);
        }
        if is_tick {
            self.tick(probe, now, own)?;
            self.begin_counting(probe, now);
        }
        Ok(self.due_switches())
    }

    /// What a sample stands for besides itself, by when it was taken.
    pub(super) fn weight_of(&self, signal: Signal, taken_at: Duration) -> f64 {
        let mut families = self.families.iter();
        families
            .find(|family| family.watches(signal))
            .map_or(1.0, |family| family.ledger.weight_at(taken_at))
    }

    /// What happened to each signal since this was last asked.
    pub(super) fn take_coverage(&mut self) -> CoverageOfAll {
        let now = clock::monotonic();
        self.accrue(now);
        let sums = std::mem::take(&mut self.sums);
        let seconds = sums.seconds.max(f64::MIN_POSITIVE);
        let duties = sums.duty_seconds.iter().zip(&self.families);
        let family = |(duty, family): (&f64, &Family)| {
            let represented =
                (family.slices.as_ref()).map_or(1.0, |slices| slices.represented_share(now));
            (family.plan.signal, (duty / seconds).min(1.0), represented)
        };
        CoverageOfAll {
            overhead: if 0.0 < sums.measured_seconds {
                sums.overhead_seconds / sums.measured_seconds
            } else {
                self.governor.overhead()
            },
            families: duties.map(family).collect(),
        }
    }

    /// What is given up for memory.
    pub(super) fn relief(&self) -> Relief {
        self.memory.relief()
    }

    /// What it is doing.
    pub(super) fn state(&self) -> Governed {
        Governed {
            budget: self.governor.budget(),
            overhead: self.governor.overhead(),
            memory_size_bytes: self.memory_size_bytes,
            relief: self.memory.relief(),
            families: self.governor.families(),
        }
    }

    /// Whether the kernel is to count until the next tick: a slice may begin at any time.
    fn keeps_counting(&self) -> bool {
        self.counts_always || self.families.iter().any(Family::is_sliced)
    }

    /// Has the kernel count, from here on.
    fn begin_counting(&mut self, probe: &mut Probe, now: Duration) {
        probe.count_run_times(true);
        self.counting = Some(Mark {
            at: now,
            spent: self.spent(probe),
        });
    }

    /// What the kernel counted is what each family costs while it is on.
    fn end_counting(&mut self, probe: &mut Probe, now: Duration) {
        let Some(mark) = self.counting.take() else {
            return;
        };
        let spent = self.spent(probe);
        if !self.keeps_counting() {
            probe.count_run_times(false);
        }
        let pairs = spent.iter().zip(&mark.spent).zip(&self.families);
        let costs = pairs.map(|((after, before), family)| {
            let on = family.ledger.on_time(mark.at, now).as_secs_f64();
            let seconds = after.saturating_sub(*before).as_secs_f64();
            // In less, there is too little to go by.
            (5e-3 < on).then(|| seconds / on)
        });
        self.while_on = costs.collect();
    }

    /// Run time of the programs of each family, with what entering them costs.
    fn spent(&self, probe: &Probe) -> Vec<Duration> {
        let mut spent = vec![Duration::ZERO; self.families.len()];
        for run_time in probe.run_times() {
            let signal = family_of_program(run_time.program);
            let families = self.families.iter().zip(&mut spent);
            for (family, sum) in families.filter(|(family, _)| Some(family.plan.signal) == signal) {
                *sum += run_time.time + entering(family.plan.cost_per_run, run_time.runs);
            }
        }
        spent
    }

    /// What can be counted at any time.
    fn count(&self, probe: &Probe, now: Duration, drain_cpu: Duration) -> Counted {
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
            records: self.families.iter().map(records).collect(),
        }
    }

    /// Decides, and switches what is not in slices.
    fn tick(&mut self, probe: &mut Probe, now: Duration, own: &OwnWork) -> anyhow::Result<()> {
        self.tick_due = now + TICK;
        let counted = self.count(probe, now, own.drain_cpu);
        let measurement = self.measurement(&counted);
        self.last = counted;
        let resident = OwnUse::read().resident_size_bytes;
        self.memory_size_bytes = resident + self.map_size_bytes + own.table_size_bytes;
        self.memory.tick(self.memory_size_bytes);
        if self.governor.tick(&measurement) {
            tracing::debug!(
                overhead = self.governor.overhead(),
                families = ?self.governor.families(),
                "the governor changed what is sampled"
            );
        }
        let elapsed = measurement.elapsed.as_secs_f64();
        self.sums.measured_seconds += elapsed;
        self.sums.overhead_seconds += self.governor.overhead() * elapsed;
        for index in 0..self.families.len() {
            self.apply(probe, index)?;
        }
        Ok(())
    }

    /// What was measured since the last tick.
    fn measurement(&mut self, counted: &Counted) -> Measurement {
        let last = &self.last;
        let elapsed = counted.at.saturating_sub(last.at);
        let seconds = elapsed.as_secs_f64().max(1e-3);
        let drain = counted.drain_cpu.saturating_sub(last.drain_cpu);
        let pairs = counted.records.iter().zip(&last.records);
        let records: Vec<(u64, u64)> = pairs
            .map(|(now, before)| {
                (
                    now.0.saturating_sub(before.0),
                    now.1.saturating_sub(before.1),
                )
            })
            .collect();
        let all: u64 = records.iter().map(|(records, _lost)| records).sum();
        let cost = |(index, family): (usize, &Family)| {
            let (records, lost) = records.get(index).copied().unwrap_or_default();
            let on_share = family.ledger.on_time(last.at, counted.at).as_secs_f64() / seconds;
            let kernel = self.while_on.get(index).copied().flatten();
            // Who drains the ring works for whose records they are.
            #[expect(clippy::cast_precision_loss, reason = "records of a second")]
            let part = records as f64 / all.max(1) as f64;
            let drained = part * drain.as_secs_f64() / seconds / on_share.max(1e-3);
            FamilyCost {
                while_on: kernel.map(|kernel| kernel + drained),
                on_share: on_share.min(1.0),
                records,
                lost,
            }
        };
        let families = self.families.iter().enumerate().map(cost).collect();
        let own = counted.process_cpu.saturating_sub(last.process_cpu);
        self.while_on.clear();
        Measurement {
            elapsed,
            cpus: self.cpus,
            families,
            own: own.saturating_sub(drain),
        }
    }

    /// Has one family do what the governor decided.
    fn apply(&mut self, probe: &mut Probe, index: usize) -> anyhow::Result<()> {
        let Some(family) = self.families.get_mut(index) else {
            return Ok(());
        };
        let signal = family.plan.signal;
        let setting = self.governor.setting(signal);
        let before = family.setting;
        if setting == before {
            return Ok(());
        }
        family.setting = setting;
        let now = clock::monotonic();
        if signal == Signal::Cpu {
            hooks::start(probe, signal, self.rate_hz / setting.rate_divisor())?;
            // A sample stands for as many as would have been taken at the rate asked for.
            let weight = f64::from(setting.rate_divisor());
            family.ledger.note(now, Some(weight));
            return Ok(());
        }
        if family.plan.thinning == Thinning::Draw && setting.is_on != before.is_on {
            family.since = now;
            family.is_attached = setting.is_on;
            family.ledger.note(now, setting.is_on.then_some(1.0));
            thin(probe, family)?;
            if setting.is_on {
                hooks::start(probe, signal, self.rate_hz)?;
            } else {
                hooks::stop(probe, signal);
            }
            return Ok(());
        }
        thin(probe, family)
    }

    /// The slices that are to begin and to end now.
    pub(super) fn due_switches(&self) -> Vec<SliceSwitch> {
        let now = clock::monotonic();
        let switch = |(index, family): (usize, &Family)| {
            let switch = family.slices.as_ref()?.poll(now, family.setting.duty())?;
            Some(SliceSwitch {
                index,
                signal: family.plan.signal,
                is_on: family.is_attached,
                stays_on: switch == Switch::On,
            })
        };
        (self.families.iter().enumerate())
            .filter_map(switch)
            .collect()
    }

    /// A slice is over, and detached if it is to be: gives what its samples stood for.
    pub(super) fn end_slice(&mut self, probe: &mut Probe, switch: &SliceSwitch) -> f64 {
        if !switch.stays_on {
            hooks::stop(probe, switch.signal);
        }
        let now = clock::monotonic();
        let Some(family) = self.families.get_mut(switch.index) else {
            return 1.0;
        };
        let Some(slices) = &mut family.slices else {
            return 1.0;
        };
        if switch.stays_on {
            return slices.mean_weight(now);
        }
        family.ledger.note(now, None);
        family.is_attached = false;
        slices.pause(now, family.setting.duty())
    }

    /// After a slice: begins the next one, or has the probe forget what it knows.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn begin_slice(
        &mut self,
        probe: &mut Probe,
        switch: &SliceSwitch,
    ) -> anyhow::Result<()> {
        let Some(family) = self.families.get_mut(switch.index) else {
            return Ok(());
        };
        if switch.is_on != switch.stays_on {
            // What began in another slice is not known as a whole.
            family.since = clock::monotonic();
            thin(probe, family)?;
        }
        if !switch.stays_on {
            return Ok(());
        }
        if !switch.is_on {
            hooks::start(probe, switch.signal, self.rate_hz)?;
            family.is_attached = true;
        }
        let now = clock::monotonic();
        if let Some(slices) = &mut family.slices {
            let (weight, due) = slices.begin(now, family.setting.duty());
            family.ledger.note(now, Some(weight));
            family.ledger.note(due, Some(1.0));
        }
        Ok(())
    }

    /// What the rows of a table stand for that were counted in the slice that runs.
    pub(super) fn weight_of_table(&self, table: Signal) -> f64 {
        let mut families = self.families.iter();
        let slices = families
            .find(|family| family.watches(table))
            .and_then(|family| family.slices.as_ref());
        slices.map_or(1.0, |slices| slices.mean_weight(clock::monotonic()))
    }

    /// Adds the time since this was last done to the sums of the window.
    fn accrue(&mut self, now: Duration) {
        let (from, to) = (self.accrued_at, now);
        self.accrued_at = now;
        let seconds = to.saturating_sub(from).as_secs_f64();
        self.sums.seconds += seconds;
        self.sums.duty_seconds.resize(self.families.len(), 0.0);
        for (sum, family) in self.sums.duty_seconds.iter_mut().zip(&self.families) {
            *sum += match family.plan.thinning {
                Thinning::Slices => family.ledger.on_time(from, to).as_secs_f64(),
                Thinning::Draw => seconds * family.setting.duty(),
            };
        }
    }
}

/// What entering a program so many times costs.
fn entering(once: Duration, runs: u64) -> Duration {
    let once_ns = u64::try_from(once.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(once_ns.saturating_mul(runs))
}

/// Tells the probe how much of a family it follows.
fn thin(probe: &mut Probe, family: &Family) -> anyhow::Result<()> {
    let Some(code) = code_of(family.plan.signal) else {
        return Ok(());
    };
    let Setting {
        duty_halvings,
        rate_halvings,
        ..
    } = family.setting;
    let is_drawn = family.plan.thinning == Thinning::Draw;
    let thinning = KernelThinning {
        since_ns: u64::try_from(family.since.as_nanos()).unwrap_or(u64::MAX),
        duty_halvings: if is_drawn { duty_halvings.into() } else { 0 },
        rate_halvings: rate_halvings.into(),
    };
    Ok(probe.thin(code, thinning)?)
}
