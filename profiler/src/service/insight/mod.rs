//! What is wrong, where, how sure, and what changed.
//!
//! Job: turn counted stacks into findings, changes and verdicts. In: values, read by `query`. Out:
//! ranked findings, functions that changed more than chance explains, limits kept or broken.
//! **Invariant:** touches nothing; every number that rests on samples carries its interval, and a
//! threshold is passed only when the whole interval passes it.
//!
//! Read in this order: [`Evidence`] is what a service did, [`Rules`] say what is too much, [`find`]
//! looks; [`compare`] tells two times apart; a [`Budget`] is what an operator allows.

mod amount;
mod budget;
mod change;
mod error;
mod evidence;
mod find;
mod finding;
mod growth;
mod histogram;
pub mod limits;
mod rules;
mod statistics;

pub use self::{
    amount::{Amount, Dimension},
    budget::{Against, Budget, Judged, Limit, Measure, Measured, Receiver, Verdict, judge},
    change::{Change, Comparison, Settings, Side, Sides, compare},
    error::{BudgetError, RulesError},
    evidence::{Evidence, Path, SignalTable, Site, ThreadUse},
    find::find,
    finding::{Finding, FindingKind, Number, Severity, Unit},
    growth::{GROWTH_SLICES_LEAST, Growth, growths},
    histogram::Histogram,
    rules::Rules,
    statistics::{Interval, proportion},
};
