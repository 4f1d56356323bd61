//! What is connected now, and what just arrived.
//!
//! Job: connect those who take deliveries with those who ask, without either knowing the other.
//! In: daemons that come and go, windows that became durable. Out: orders for a daemon, windows for
//! whoever watches. **Invariant:** nobody who watches can hold up a delivery.
//! **Loses data when:** a watcher is slower than the windows; it is told how many it missed.

mod limits;
mod registry;

pub use self::registry::{BurstError, Connected, Live};
