//! Keeps what was delivered, and finds it again.
//!
//! Job: durable windows, definitions and totals. In: [`Batch`](crate::model::Batch)es. Out: merged
//! stacks, totals, labels. **Invariant:** a batch is counted once, whatever is sent again and
//! whenever the power goes; sums are of integers, so every engine gives the same bits.

mod column;
#[cfg(test)]
mod conformance;
mod contract;
mod embedded;
#[cfg(test)]
mod fixture;
mod limits;
mod matching;
mod memory;
mod quality_sum;

pub(crate) use self::memory::MemoryStore;
pub use self::{
    contract::{
        Appended, FrameHashes, GroupStacks, GroupTotals, HostFacts, MergedStacks, QueryLimits,
        SLOT, SeriesInfo, Store, StoreError, TotalsPoint,
    },
    embedded::{EmbeddedStore, StoreHealth, StoreOptions, StoreStats},
    matching::LabelFilter,
};
