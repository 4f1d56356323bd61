//! The state machine: measurements in, settings out.
//!
//! Too much cost is cut at once and as far as needed; recovery takes one step at a time, after calm,
//! and only where the highest cost of late would fit with room to spare. That gap, and twice the
//! calm after each relapse, keep it from swinging.

use std::time::Duration;

use super::{
    family::{FamilyPlan, Setting},
    limits::{
        CUT_TARGET, EMERGENCY, HOLD_MAX, HOLD_MIN, HOLD_OFF, LOST_RECORDS_MIN, LOST_SHARE_MAX,
        OWN_SHARE_MAX, OWN_SMOOTHING, PEAK_KEPT, RECOVERY_TARGET, RELAPSE, SMOOTHING, STALE_KEPT,
        STOP_PATIENCE, WORTH_CUTTING,
    },
};
use crate::model::Signal;

/// What a family cost since the last tick.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FamilyCost {
    /// CPU seconds a second, while it was on; absent when it was never on or was not looked at.
    pub while_on: Option<f64>,
    /// Share of the tick in which it was on.
    pub on_share: f64,
    /// Records that it made, those that were lost included.
    pub records: u64,
    /// Records that found no room in the ring.
    pub lost: u64,
}

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

/// A family with what is known of its cost.
#[derive(Clone, Debug)]
struct Family {
    plan: FamilyPlan,
    setting: Setting,
    /// What it would cost at the full setting, as a share of the host's CPU: in the last tick, lately,
    /// and at most.
    full_now: f64,
    full_recent: f64,
    full_peak: f64,
    /// What it cost in the last tick.
    overhead: f64,
    loses_records: bool,
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

impl Family {
    /// Takes note of what it cost, as shares of the host's CPU.
    fn measure(&mut self, cost: &FamilyCost, cpus: f64) {
        self.loses_records = loses_records(cost);
        self.overhead = cost.while_on.unwrap_or(0.0) * cost.on_share / cpus;
        let Some(while_on) = cost.while_on else {
            self.full_recent *= STALE_KEPT;
            self.full_peak *= STALE_KEPT;
            return;
        };
        // What is measured while on holds the rate, and a draw; slices are in the share of time.
        let factor = match self.plan.thinning {
            super::Thinning::Slices => self.plan.cost_factor(Setting {
                duty_halvings: 0,
                ..self.setting
            }),
            super::Thinning::Draw => self.plan.cost_factor(self.setting),
        };
        let full = if factor <= 0.0 {
            return;
        } else {
            while_on / factor / cpus
        };
        self.full_now = full;
        self.full_recent += SMOOTHING * (full - self.full_recent);
        self.full_peak = (self.full_peak * PEAK_KEPT).max(full);
    }

    /// What it costs at a setting, by the smoothed cost.
    fn cost_at(&self, setting: Setting) -> f64 {
        self.full_recent * self.plan.cost_factor(setting)
    }

    /// What it may cost at a setting, by the highest cost of late.
    fn peak_at(&self, setting: Setting) -> f64 {
        self.full_peak.max(self.full_recent) * self.plan.cost_factor(setting)
    }

    /// The next setting of a kind of cut; absent when there is none.
    fn cut(&self, stage: Stage) -> Option<Setting> {
        let mut next = self.setting;
        if !next.is_on {
            return None;
        }
        match stage {
            Stage::Duty if next.duty_halvings < self.plan.duty_halvings_max => {
                next.duty_halvings += 1;
            }
            Stage::Rate if next.rate_halvings < self.plan.rate_halvings_max => {
                next.rate_halvings += 1;
            }
            Stage::Stop if self.plan.may_stop => next.is_on = false,
            Stage::Duty | Stage::Rate | Stage::Stop => return None,
        }
        Some(next)
    }

    /// The setting before a kind of cut; absent when it was not made.
    fn recovered(&self, stage: Stage) -> Option<Setting> {
        let mut next = self.setting;
        match stage {
            Stage::Stop if !next.is_on => next.is_on = true,
            Stage::Rate if next.is_on && 0 < next.rate_halvings => next.rate_halvings -= 1,
            Stage::Duty if next.is_on && 0 < next.duty_halvings => next.duty_halvings -= 1,
            Stage::Duty | Stage::Rate | Stage::Stop => return None,
        }
        Some(next)
    }
}

/// How long recovery waits: longer each time it was too early.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    /// Calm that is waited for: at least, and now.
    least: Duration,
    hold: Duration,
    /// Time since the last step.
    since: Duration,
    /// Whether a cut followed the last step soon.
    relapsed: bool,
}

impl Backoff {
    /// As if the last step was long ago.
    fn new(least: Duration) -> Self {
        Self {
            least,
            hold: least,
            since: HOLD_MAX * 2,
            relapsed: false,
        }
    }

    /// Time passes. What happened long ago is forgotten.
    fn tick(&mut self, elapsed: Duration) {
        self.since += elapsed;
        if HOLD_MAX * 2 < self.since {
            self.hold = self.least;
        }
    }

    /// Something was taken back.
    fn step(&mut self) {
        self.since = Duration::ZERO;
        self.relapsed = false;
    }

    /// Something was cut: soon after a step, that step was too early.
    fn cut(&mut self) {
        if self.since < RELAPSE && !self.relapsed {
            self.relapsed = true;
            self.hold = (self.hold * 2).min(HOLD_MAX);
        }
    }
}

/// Kinds of cuts.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Duty,
    Rate,
    Stop,
}

/// The order of cuts; recovery goes backwards.
const STAGES: [Stage; 3] = [Stage::Duty, Stage::Rate, Stage::Stop];

/// Whether too many of its records are lost.
fn loses_records(cost: &FamilyCost) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "counts of a second")]
    let too_many = LOST_SHARE_MAX * (cost.records as f64) < cost.lost as f64;
    LOST_RECORDS_MIN <= cost.records && too_many
}

impl Governor {
    /// Everything is on. `plans` has the families that are thinned first first; `budget` is a share
    /// of the host's CPU.
    pub fn new(budget: Option<f64>, plans: &[FamilyPlan]) -> Self {
        let family = |plan: &FamilyPlan| Family {
            plan: *plan,
            setting: Setting::FULL,
            full_now: 0.0,
            full_recent: 0.0,
            full_peak: 0.0,
            overhead: 0.0,
            loses_records: false,
        };
        Self {
            budget,
            families: plans.iter().map(family).collect(),
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
        if !is_over {
            self.over = Duration::ZERO;
            return false;
        }
        self.over += elapsed;
        if EMERGENCY * room < now {
            // No time for smoothing.
            for family in &mut self.families {
                family.full_recent = family.full_recent.max(family.full_now);
            }
        }
        let mut changed = false;
        for stage in STAGES {
            if matches!(stage, Stage::Stop) && self.over < STOP_PATIENCE {
                continue;
            }
            for index in 0..self.families.len() {
                changed |= self.cut_family(index, stage, CUT_TARGET * room);
            }
        }
        if changed {
            self.steps.cut();
            self.restarts.cut();
        }
        changed
    }

    /// Cuts one family in one way, until all together fit.
    fn cut_family(&mut self, index: usize, stage: Stage, target: f64) -> bool {
        let mut changed = false;
        loop {
            let excess = self.predicted() - target;
            let Some(family) = self.families.get_mut(index) else {
                return changed;
            };
            let is_worth_it = WORTH_CUTTING * excess < family.cost_at(family.setting);
            match family.cut(stage) {
                Some(next) if 0.0 < excess && is_worth_it => family.setting = next,
                Some(_) | None => return changed,
            }
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
