//! The state machine: measurements in, settings out.
//!
//! Too much cost is cut at once and as far as needed; recovery takes one step at a time, after calm,
//! and only where the highest cost of late would fit with room to spare. That gap, and twice the
//! calm after each relapse, keep it from swinging.

use std::time::Duration;

use super::{
    backoff::Backoff,
    cost::{Family, FamilyCost, Stage},
    family::{FamilyPlan, Setting},
    limits::{
        CUT_TARGET, EMERGENCY, HOLD_MIN, HOLD_OFF, OWN_SHARE_MAX, OWN_SMOOTHING, RECOVERY_TARGET,
        STOP_PATIENCE, WORTH_CUTTING, WORTH_STOPPING,
    },
};
use crate::model::Signal;

/// What was measured since the last tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Time since the last tick.
    pub elapsed: Duration,
    /// CPUs of the host.
    pub cpus: u32,
    /// By family, in the governor's order.
    pub families: Vec<FamilyCost>,
    /// CPU time of this program that no family can be charged with.
    pub own: Duration,
}

/// A family as it is now, for metrics and profiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FamilyState {
    /// What it watches.
    pub signal: Signal,
    /// What it does.
    pub setting: Setting,
    /// What it costs now, as a share of the host's CPU.
    pub overhead: f64,
}

/// The governor.
#[derive(Clone, Debug)]
pub struct Governor {
    /// Share of the host's CPU; none without a budget.
    budget: Option<f64>,
    /// The ones that are thinned first come first.
    families: Vec<Family>,
    /// Cost that no family can be charged with, smoothed over its bursts.
    own: f64,
    /// All that was measured in the last tick.
    overhead: f64,
    /// Since when nothing was changed.
    calm: Duration,
    /// Since when it has cost more than the budget.
    over: Duration,
    /// How long a step of recovery waits.
    steps: Backoff,
    /// How long a family that is off waits until it is tried again.
    restarts: Backoff,
}

/// The order of cuts; recovery goes backwards.
const STAGES: [Stage; 3] = [Stage::Duty, Stage::Rate, Stage::Stop];

impl Governor {
    /// Everything is on. `plans` has the families that are thinned first first; `budget` is a share
    /// of the host's CPU.
    pub fn new(budget: Option<f64>, plans: &[FamilyPlan]) -> Self {
        Self {
            budget,
            families: plans.iter().map(Family::new).collect(),
            own: 0.0,
            overhead: 0.0,
            calm: Duration::ZERO,
            over: Duration::ZERO,
            steps: Backoff::new(HOLD_MIN),
            restarts: Backoff::new(HOLD_OFF),
        }
    }

    /// What a family is to do; everything for one that is not governed.
    pub fn setting(&self, signal: Signal) -> Setting {
        let mut families = self.families.iter();
        families
            .find(|family| family.plan.signal == signal)
            .map_or(Setting::FULL, |family| family.setting)
    }

    /// The plan of a family, in the order of the families.
    pub fn plans(&self) -> impl Iterator<Item = &FamilyPlan> {
        self.families.iter().map(|family| &family.plan)
    }

    /// The families as they are now.
    pub fn families(&self) -> Vec<FamilyState> {
        let state = |family: &Family| FamilyState {
            signal: family.plan.signal,
            setting: family.setting,
            overhead: family.overhead,
        };
        self.families.iter().map(state).collect()
    }

    /// The budget, as a share of the host's CPU.
    pub fn budget(&self) -> Option<f64> {
        self.budget
    }

    /// What was measured in the last tick, as a share of the host's CPU.
    pub fn overhead(&self) -> f64 {
        self.overhead
    }

    /// Takes note of what was measured, and decides. Whether any setting changed.
    pub fn tick(&mut self, measured: &Measurement) -> bool {
        self.measure(measured);
        self.calm += measured.elapsed;
        self.steps.tick(measured.elapsed);
        self.restarts.tick(measured.elapsed);
        let Some(budget) = self.budget else {
            return false;
        };
        let changed =
            self.cut(budget, measured.elapsed) || self.cut_lossy() || self.recover(budget);
        if changed {
            self.calm = Duration::ZERO;
        }
        changed
    }

    /// Takes note of what was measured.
    fn measure(&mut self, measured: &Measurement) {
        let cpus = f64::from(measured.cpus.max(1));
        for (family, cost) in self.families.iter_mut().zip(&measured.families) {
            family.measure(cost, cpus);
        }
        let own = measured.own.as_secs_f64() / measured.elapsed.as_secs_f64().max(1e-3) / cpus;
        self.own += OWN_SMOOTHING * (own - self.own);
        let probes: f64 = self.families.iter().map(|family| family.overhead).sum();
        self.overhead = probes + own;
    }

    /// What the budget leaves for the families.
    fn room(&self, budget: f64) -> f64 {
        budget - self.own.min(OWN_SHARE_MAX * budget)
    }

    /// Cuts in the fixed order until the cost fits, when it does not.
    fn cut(&mut self, budget: f64, elapsed: Duration) -> bool {
        let room = self.room(budget);
        let now: f64 = self.families.iter().map(|family| family.overhead).sum();
        let smoothed = self.predicted();
        let is_over = room < smoothed && room < now || EMERGENCY * room < now;
        // What this program does besides its probes thins them; it alone puts none of them off.
        let exceeds = budget < smoothed && budget < now;
        self.over = if exceeds {
            self.over + elapsed
        } else {
            Duration::ZERO
        };
        if !is_over {
            return false;
        }
        if EMERGENCY * room < now {
            // No time for smoothing.
            for family in &mut self.families {
                family.believe();
            }
        }
        let mut changed = false;
        for stage in STAGES {
            let target = match stage {
                Stage::Stop if self.over < STOP_PATIENCE => continue,
                Stage::Stop => budget,
                Stage::Duty | Stage::Rate => CUT_TARGET * room,
            };
            for index in self.order_of(stage) {
                changed |= self.cut_family(index, stage, target);
            }
        }
        if changed {
            self.steps.cut();
            self.restarts.cut();
        }
        changed
    }

    /// Places of the families, in the order of a kind of cut. What goes off is what costs most: what
    /// was made cheap by the cuts before is worth more than it saves.
    fn order_of(&self, stage: Stage) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.families.len()).collect();
        if matches!(stage, Stage::Stop) {
            let cost = |index: &usize| {
                let family = self.families.get(*index);
                family.map_or(0.0, |family| family.cost_at(family.setting))
            };
            order.sort_by(|left, right| cost(right).total_cmp(&cost(left)));
        }
        order
    }

    /// Cuts one family in one way, until all together fit.
    fn cut_family(&mut self, index: usize, stage: Stage, target: f64) -> bool {
        let mut changed = false;
        loop {
            let excess = self.predicted() - target;
            let Some(family) = self.families.get_mut(index) else {
                return changed;
            };
            let Some(next) = family.cut(stage) else {
                return changed;
            };
            let saved = family.cost_at(family.setting) - family.cost_at(next);
            let worth = match stage {
                Stage::Duty | Stage::Rate => WORTH_CUTTING,
                Stage::Stop => WORTH_STOPPING,
            };
            if excess <= 0.0 || saved <= worth * excess {
                return changed;
            }
            family.setting = next;
            changed = true;
        }
    }

    /// Lowers what loses its records: one step a tick.
    fn cut_lossy(&mut self) -> bool {
        let mut changed = false;
        for family in self.families.iter_mut().filter(|each| each.loses_records) {
            let cut = family.cut(Stage::Rate).or_else(|| family.cut(Stage::Duty));
            if let Some(next) = cut {
                family.setting = next;
                changed = true;
            }
        }
        changed
    }

    /// Takes back the last cut, after calm, where it fits.
    fn recover(&mut self, budget: f64) -> bool {
        if self.calm < self.steps.hold {
            return false;
        }
        let target = RECOVERY_TARGET * self.room(budget);
        for stage in STAGES.into_iter().rev() {
            for index in (0..self.families.len()).rev() {
                if self.recover_family(index, stage, target) {
                    return true;
                }
            }
        }
        false
    }

    /// Takes back one step of one family, where it fits.
    fn recover_family(&mut self, index: usize, stage: Stage, target: f64) -> bool {
        let others = |(place, family): (usize, &Family)| {
            (place != index).then(|| family.peak_at(family.setting))
        };
        let others: f64 = self.families.iter().enumerate().filter_map(others).sum();
        let Some(family) = self.families.get_mut(index) else {
            return false;
        };
        let Some(next) = family.recovered(stage) else {
            return false;
        };
        let backoff = if family.setting.is_on {
            &mut self.steps
        } else {
            &mut self.restarts
        };
        let is_early = self.calm < backoff.hold;
        if is_early || family.loses_records || target < others + family.peak_at(next) {
            return false;
        }
        family.setting = next;
        backoff.step();
        true
    }

    /// What all families cost at their settings, by the smoothed cost.
    fn predicted(&self) -> f64 {
        let cost = |family: &Family| family.cost_at(family.setting);
        self.families.iter().map(cost).sum()
    }
}
