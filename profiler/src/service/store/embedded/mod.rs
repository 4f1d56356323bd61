//! The engine that needs nothing installed: a log, parts in Parquet, a catalogue in `SQLite`.
//!
//! A batch goes through [`wal`] (durable, then acknowledged) into [`rows`] in memory; [`flush`]
//! writes these as parts, [`compact`] merges parts of an hour and adds sums by minute and by hour,
//! [`plan`] chooses among them for a [`query`]. What is valid is what the [`catalog`] lists.
//!
//! Locks are taken in this order: `compacting`, `flushing`, `wal`, `queue`, `state`; the catalogue's
//! last of all.

mod backup;
mod catalog;
mod changes;
mod codec;
mod commit;
mod compact;
mod counters;
#[cfg(test)]
mod crash_test;
mod definition_file;
mod dictionary;
mod engine;
mod files;
mod flush;
mod hash;
mod host_file;
mod options;
mod part;
mod plan;
mod query;
mod row_file;
mod rows;
mod series_index;
mod state;
#[cfg(test)]
mod tests;
mod upkeep;
mod wal;

pub use self::{
    engine::EmbeddedStore,
    options::{StoreHealth, StoreOptions, StoreStats},
};
