//! Live memory by stack.
//!
//! Job: weigh sampled allocations, and remember the stack of each until it is freed. In: samples of
//! allocations, what was freed, processes that ended. Out: weighted samples of both ends, and a report
//! of what lives. **Invariant:** what a stack frees has the weight that it was allocated with, so the
//! difference is what lives.
//! **Loses data when:** more sampled allocations live than are remembered, counted as
//! `Loss::TableFull`.

mod growth;
mod limits;
mod live;
mod report;
mod weight;

pub use self::{
    live::LiveTable,
    report::{HeapReport, HeapStack},
};
