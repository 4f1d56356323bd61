//! Families of probes: what can be done to each, and what it then costs.

use std::time::Duration;

use crate::model::Signal;

/// How a family is switched on for a part of what happens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Thinning {
    /// It is attached for slices of time, and detached in between.
    Slices,
    /// What begins is looked at in slices of time only, and then followed to its end: for what may
    /// last longer than a slice. The probe itself weighs it, by when it began.
    Begins,
    /// It stays attached; only its rate falls, or the period of its draw grows.
    Draw,
}

/// What can be done to a family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FamilyPlan {
    /// What it watches.
    pub signal: Signal,
    /// How it is thinned.
    pub thinning: Thinning,
    /// Times that its share of time or of draws may be halved.
    pub duty_halvings_max: u8,
    /// Share of its cost that slices do not lower, 0 to 1, until that was measured.
    pub duty_floor: f64,
    /// Times that its rate may be halved.
    pub rate_halvings_max: u8,
    /// Share of its cost that a lower rate does not lower, 0 to 1.
    pub rate_floor: f64,
    /// Whether it may be switched off.
    pub may_stop: bool,
    /// What an event costs that its programs' run time does not hold: the way into them.
    pub cost_per_run: Duration,
}

/// What a family is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Setting {
    /// Times that its share of time or of draws is halved.
    pub duty_halvings: u8,
    /// Times that its rate is halved.
    pub rate_halvings: u8,
    /// Whether it runs at all.
    pub is_on: bool,
}

impl Setting {
    /// Everything.
    pub const FULL: Self = Self {
        duty_halvings: 0,
        rate_halvings: 0,
        is_on: true,
    };

    /// Share of time, or of what is drawn: 1, 1/2, 1/4 …; 0 when it is off.
    pub fn duty(self) -> f64 {
        if self.is_on {
            0.5_f64.powi(self.duty_halvings.into())
        } else {
            0.0
        }
    }

    /// How many times lower its rate is: 1, 2, 4 …
    pub fn rate_divisor(self) -> u32 {
        1 << u32::from(self.rate_halvings.min(31))
    }
}

impl FamilyPlan {
    /// The cost at a rate while it is on, as a share of the cost at the full rate.
    pub(super) fn rate_factor(&self, setting: Setting) -> f64 {
        let rate = 0.5_f64.powi(setting.rate_halvings.into());
        self.rate_floor + (1.0 - self.rate_floor) * rate
    }
}
