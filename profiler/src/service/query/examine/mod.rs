//! What the store has for `insight`: selections to evidence, to recordings, to measured limits.
//!
//! Read in this order: a [`Period`] is the time that has data, in slices; a `table` is one signal
//! of it; from tables come the evidence of bottlenecks, the two sides of a comparison, the numbers
//! of a budget and the ledger of a function.

mod bottlenecks;
mod check;
mod evidence;
mod ledger;
mod lines;
mod period;
mod regressions;
mod select;
mod slower;
mod table;

pub use self::{
    bottlenecks::{Ask, Bottlenecks, bottlenecks},
    check::{Baseline, Checked, Guide, check, check_limit, window_of},
    ledger::{Ledger, LedgerPart, LedgerRow, ledger},
    regressions::{Regressions, Wanted, regressions},
};
pub(super) use self::{
    evidence::{seconds, to_f64},
    lines::{locate, locate_in},
    period::Period,
    select::Scope,
    table::{Columns, GroupTable, tables_by},
};
