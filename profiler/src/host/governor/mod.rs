//! The overhead governor: measured cost in, thinner or fuller sampling out.
//!
//! Job: keep what the profiler costs its host within a budget. In: what each family of probes cost
//! since the last look, and the memory in use. Out: for each family whether it is on, for how much
//! of the time, and at which rate; what a sample of any moment stands for.
//! **Invariant:** touches nothing and reads no time: the same measurements give the same decisions.
//! Values stay unbiased, whatever is decided: what is left out is stood for by what is kept.

mod backoff;
mod cost;
mod family;
mod ledger;
mod limits;
mod memory;
mod slices;
mod state;
#[cfg(test)]
mod tests;

pub use self::{
    cost::FamilyCost,
    family::{FamilyPlan, Setting, Thinning},
    ledger::Ledger,
    limits::{STATISTICS_MIN, STATISTICS_WINDOW, TICK},
    memory::{Memory, Relief},
    slices::{Slices, Switch},
    state::{FamilyState, Governor, Measurement},
};
