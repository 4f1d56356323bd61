//! A family with what is known of its cost: measured, and foretold for another setting.

use super::{
    family::{FamilyPlan, Setting},
    limits::{LOST_RECORDS_MIN, LOST_SHARE_MAX, PEAK_KEPT, SMOOTHING, STALE_KEPT},
};

/// What a family cost since the last tick.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FamilyCost {
    /// CPU seconds a second, while it was on; absent when it was never on or was not looked at.
    pub while_on: Option<f64>,
    /// CPU seconds a second, while it was between two slices; absent when it never was or was not
    /// looked at.
    pub while_off: Option<f64>,
    /// Share of the tick in which it was on.
    pub on_share: f64,
    /// Records that it made, those that were lost included.
    pub records: u64,
    /// Records that found no room in the ring.
    pub lost: u64,
}

/// Kinds of cuts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    Duty,
    Rate,
    Stop,
}

/// A family with what is known of its cost.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) plan: FamilyPlan,
    pub(super) setting: Setting,
    /// What it would cost at the full setting, as a share of the host's CPU: in the last tick, lately,
    /// and at most.
    full_now: f64,
    full_recent: f64,
    full_peak: f64,
    /// What it costs between two slices, lately; absent until that was measured.
    pause: Option<f64>,
    /// What it cost in the last tick.
    pub(super) overhead: f64,
    pub(super) loses_records: bool,
}

impl Family {
    /// A family that is on, of unknown cost.
    pub(super) fn new(plan: &FamilyPlan) -> Self {
        Self {
            plan: *plan,
            setting: Setting::FULL,
            full_now: 0.0,
            full_recent: 0.0,
            full_peak: 0.0,
            pause: None,
            overhead: 0.0,
            loses_records: false,
        }
    }

    /// Takes note of what it cost, as shares of the host's CPU.
    pub(super) fn measure(&mut self, cost: &FamilyCost, cpus: f64) {
        self.loses_records = loses_records(cost);
        if let Some(while_off) = cost.while_off {
            let now = while_off / cpus;
            let recent = self.pause.unwrap_or(now);
            self.pause = Some(recent + SMOOTHING * (now - recent));
        }
        let factor = self.plan.rate_factor(self.setting);
        if let Some(while_on) = cost.while_on {
            // What is measured while it is on holds the rate; slices are in the share of time.
            let full = while_on / factor.max(f64::MIN_POSITIVE) / cpus;
            self.full_now = full;
            self.full_recent += SMOOTHING * (full - self.full_recent);
            self.full_peak = (self.full_peak * PEAK_KEPT).max(full);
        } else if !self.setting.is_on {
            self.full_recent *= STALE_KEPT;
            self.full_peak *= STALE_KEPT;
        }
        let on = self.full_now * factor * cost.on_share;
        let paused = if self.setting.is_on {
            self.paused(self.full_now, 1.0 - cost.on_share)
        } else {
            0.0
        };
        self.overhead = on + paused;
    }

    /// A burst is believed at once, without smoothing.
    pub(super) fn believe(&mut self) {
        self.full_recent = self.full_recent.max(self.full_now);
    }

    /// What it costs at a setting, by the smoothed cost.
    pub(super) fn cost_at(&self, setting: Setting) -> f64 {
        self.cost_of(self.full_recent, setting)
    }

    /// What it may cost at a setting, by the highest cost of late.
    pub(super) fn peak_at(&self, setting: Setting) -> f64 {
        self.cost_of(self.full_peak.max(self.full_recent), setting)
    }

    /// What it costs at a setting, by what it costs at the full one.
    fn cost_of(&self, full: f64, setting: Setting) -> f64 {
        if !setting.is_on {
            return 0.0;
        }
        let duty = setting.duty();
        full * self.plan.rate_factor(setting) * duty + self.paused(full, 1.0 - duty)
    }

    /// What it costs in a share of time between slices.
    fn paused(&self, full: f64, share: f64) -> f64 {
        self.pause.unwrap_or(self.plan.duty_floor * full) * share.max(0.0)
    }

    /// The next setting of a kind of cut; absent when there is none.
    pub(super) fn cut(&self, stage: Stage) -> Option<Setting> {
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
    pub(super) fn recovered(&self, stage: Stage) -> Option<Setting> {
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

/// Whether too many of its records are lost.
fn loses_records(cost: &FamilyCost) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "counts of a second")]
    let too_many = LOST_SHARE_MAX * (cost.records as f64) < cost.lost as f64;
    LOST_RECORDS_MIN <= cost.records && too_many
}
