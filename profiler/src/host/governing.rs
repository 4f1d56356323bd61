//! The governor at work: it is given what was measured, and what it decides is switched.
//!
//! Part of the composition root: it joins `governor` and `probe`.

use std::time::Duration;

use profiler_common::thinning::{Thinning as KernelThinning, WEIGHT_ONE};

use super::{
    coverage::{CoverageOfAll, CoverageSums},
    families::{Family, plan_of},
    governor::{FamilyState, Governor, Memory, Relief, Switch, TICK, Thinning},
    hooks,
    kernel_counts::code_of,
    metering::Meter,
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
    /// Whether CPU samples may be taken less often than asked for, and allocations not at all. Not in
    /// a recording: whoever asks for them means them.
    pub governs_all: bool,
    /// Whether the kernel counts run times all the time, and not only now and then.
    pub counts_always: bool,
}

impl Budget {
    /// No limit of anything.
    pub const UNLIMITED: Self = Self {
        overhead: MaxOverhead(None),
        memory: MaxMemory(None),
        governs_all: false,
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

/// The governor with all it needs.
pub(super) struct Governing {
    governor: Governor,
    memory: Memory,
    families: Vec<Family>,
    meter: Meter,
    sums: CoverageSums,
    rate_hz: u32,
    tick_due: Duration,
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
            .filter_map(|signal| plan_of(signal, rate_hz, budget.governs_all))
            .collect();
        plans.sort_by_key(|(rank, _plan)| *rank);
        let plans: Vec<_> = plans.into_iter().map(|(_rank, plan)| plan).collect();
        let families: Vec<_> = (plans.iter().zip(1..))
            .map(|(plan, seed)| Family::start(*plan, now, seed))
            .collect();
        Self {
            governor: Governor::new(budget.overhead.0, &plans),
            memory: Memory::new(budget.memory.0),
            meter: Meter::start(probe, &families, now, budget.counts_always),
            families,
            sums: CoverageSums::start(now),
            rate_hz,
            tick_due: now + FIRST_TICK,
            map_size_bytes: map_size_bytes(),
            memory_size_bytes: 0,
        }
    }

    /// When [`Self::poll`] wants to be called next.
    pub(super) fn due(&self) -> Duration {
        let slices = self.families.iter().filter_map(Family::slices_due);
        slices
            .chain(self.meter.due())
            .fold(self.tick_due, Duration::min)
    }

    /// Does what is due: measures, decides, switches. Gives the slices that are to begin or end.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn poll(
        &mut self,
        probe: &mut Probe,
        own: &OwnWork,
    ) -> anyhow::Result<Vec<SliceSwitch>> {
        let now = clock::monotonic();
        self.sums.accrue(now, &self.families);
        self.meter.end_due(probe, &self.families, now);
        if self.tick_due <= now {
            self.tick(probe, now, own)?;
        }
        Ok(self.due_switches())
    }

    /// What a sample stands for besides itself, by when it was taken.
    pub(super) fn weight_of(&self, signal: Signal, taken_at: Duration) -> f64 {
        let mut families = self.families.iter();
        families
            .find(|family| family.watches(signal))
            // The probe itself weighs what is followed to its end.
            .filter(|family| family.plan.thinning != Thinning::Begins)
            .map_or(1.0, |family| family.ledger.weight_at(taken_at))
    }

    /// What happened to each signal since this was last asked.
    pub(super) fn take_coverage(&mut self) -> CoverageOfAll {
        let now = clock::monotonic();
        (self.sums).take(now, &self.families, self.governor.overhead())
    }

    /// Whether a signal is on, if only in slices.
    pub(super) fn is_on(&self, signal: Signal) -> bool {
        self.governor.setting(signal).is_on
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

    /// Decides, and switches what is not in slices.
    fn tick(&mut self, probe: &mut Probe, now: Duration, own: &OwnWork) -> anyhow::Result<()> {
        self.tick_due = now + TICK;
        let measurement = (self.meter).take(probe, &self.families, now, own.drain_cpu);
        let resident = OwnUse::read().resident_size_bytes;
        self.memory_size_bytes = resident + self.map_size_bytes + own.table_size_bytes;
        self.memory.tick(self.memory_size_bytes);
        let has_changed = self.governor.tick(&measurement);
        self.sums
            .measured(self.governor.overhead(), measurement.elapsed);
        if has_changed {
            tracing::debug!(
                overhead = self.governor.overhead(),
                families = ?self.governor.families(),
                "the governor changed what is sampled"
            );
            for index in 0..self.families.len() {
                self.apply(probe, index)?;
            }
        }
        Ok(())
    }

    /// Has one family do what the governor decided; slices follow by themselves.
    fn apply(&mut self, probe: &mut Probe, index: usize) -> anyhow::Result<()> {
        let Some(family) = self.families.get_mut(index) else {
            return Ok(());
        };
        let signal = family.plan.signal;
        let setting = self.governor.setting(signal);
        let before = std::mem::replace(&mut family.setting, setting);
        if setting == before {
            return Ok(());
        }
        let now = clock::monotonic();
        self.meter.end(probe, index, family, now);
        match family.plan.thinning {
            Thinning::Draw if signal == Signal::Cpu => {
                hooks::start(probe, signal, self.rate_hz / setting.rate_divisor())?;
                // A sample stands for as many as would have been taken at the rate asked for.
                let weight = f64::from(setting.rate_divisor());
                family.ledger.note(now, Some(weight));
            }
            Thinning::Draw if setting.is_on != before.is_on => {
                family.since = now;
                family.is_attached = setting.is_on;
                family.ledger.note(now, setting.is_on.then_some(1.0));
                thin(probe, family)?;
                if setting.is_on {
                    hooks::start(probe, signal, self.rate_hz)?;
                } else {
                    hooks::stop(probe, signal);
                }
            }
            // Between two slices, what began in one is still followed.
            Thinning::Begins if !setting.is_on && !family.is_attached => {
                hooks::stop(probe, signal);
                family.is_followed = false;
            }
            Thinning::Draw | Thinning::Begins | Thinning::Slices => {}
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
        let Some(family) = self.families.get_mut(switch.index) else {
            return 1.0;
        };
        // Detaching takes time in which nothing is seen any more.
        let ended = clock::monotonic();
        if !switch.stays_on {
            self.meter
                .end(probe, switch.index, family, clock::monotonic());
            if family.plan.thinning == Thinning::Begins && family.setting.is_on {
                hooks::pause(probe, switch.signal);
            } else {
                hooks::stop(probe, switch.signal);
                family.is_followed = false;
            }
        }
        let Some(slices) = &mut family.slices else {
            return 1.0;
        };
        if switch.stays_on {
            return slices.mean_weight(ended);
        }
        family.ledger.note(clock::monotonic(), None);
        family.is_attached = false;
        slices.pause(ended, family.setting.duty())
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
        let is_followed = family.plan.thinning == Thinning::Begins && family.is_followed;
        if switch.is_on != switch.stays_on && !is_followed {
            // What began in another slice is not known as a whole.
            family.since = clock::monotonic();
            thin(probe, family)?;
        }
        if !switch.stays_on {
            return Ok(());
        }
        if !switch.is_on {
            self.meter
                .end(probe, switch.index, family, clock::monotonic());
            hooks::start(probe, switch.signal, self.rate_hz)?;
            family.is_attached = true;
            family.is_followed = true;
        }
        let now = clock::monotonic();
        if let Some(slices) = &mut family.slices {
            let (weight, due) = slices.begin(now, family.setting.duty());
            family.ledger.note(now, Some(weight));
            family.ledger.note(due, Some(1.0));
            if family.plan.thinning == Thinning::Begins {
                family.slice = (weight, due);
                thin(probe, family)?;
            }
        }
        self.meter.begin(probe, switch.index, family, now);
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
}

/// Tells the probe how much of a family it follows; what begins in a slice has the slice's weight
/// until that is due to end.
fn thin(probe: &mut Probe, family: &Family) -> anyhow::Result<()> {
    let Some(code) = code_of(family.plan.signal) else {
        return Ok(());
    };
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let (weight, until) = family.slice;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and the cast is bounded"
    )]
    let weight = (weight * f64::from(WEIGHT_ONE)).round() as u32;
    let thinning = KernelThinning {
        since_ns: nanoseconds(family.since),
        until_ns: nanoseconds(until),
        weight,
        rate_halvings: family.setting.rate_halvings.into(),
    };
    Ok(probe.thin(code, thinning)?)
}
