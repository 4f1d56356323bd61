//! Each service compared with its past, without being asked.
//!
//! Job: have an answer ready to what changed since the build before, yesterday and last week. In:
//! what is stored, the time. Out: the last comparison of each kind, on disk. **Invariant:** one
//! comparison at a time, each within its time; one that fails leaves the one before it in place.

mod error;
mod grpc;
mod keep;
pub mod limits;
mod watch;

#[cfg(test)]
mod tests;

pub use self::{error::ChangesError, grpc::server, watch::Changes};
