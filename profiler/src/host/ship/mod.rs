//! Batches to the query service, through a spool on disk.
//!
//! Job: deliver every window, later if need be. In: [`Batch`](crate::model::Batch)es.
//! Out: one stream of numbered messages to the service; what it asks in return.
//! **Invariant:** a batch stays in the spool until the service says that it is durable there; the
//! one who pushes never waits for the network. **Loses data when:** the spool is full, oldest first;
//! the next window's quality says how many windows that were.

mod error;
mod limits;

mod segment;
mod spool;

mod counters;
mod split;

mod backoff;
mod connect;
mod known;
mod stream;

mod shipper;

#[cfg(test)]
mod tests;

pub use self::{
    counters::{ShipCounters, ShipState},
    error::ShipError,
    shipper::{Shipper, TakeBurst, Target},
    spool::Spool,
};
