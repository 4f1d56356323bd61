//! Keeps what was delivered, and finds it again.
//!
//! Job: durable windows, definitions and totals. In: [`Batch`](crate::model::Batch)es. Out: merged
//! stacks, totals, labels. **Invariant:** a batch is counted once, whatever is sent again and
//! whenever the power goes; sums are of integers, so every engine gives the same bits.

mod contract;

pub use self::contract::{
    Appended, FrameHashes, GroupTotals, HostFacts, MergedStacks, QueryLimits, SeriesInfo, Store,
    StoreError, TotalsPoint,
};
