//! The service's budget, looked at all the time.
//!
//! Job: tell someone when a limit is broken, and when that is over. In: judged limits. Out: alerts,
//! their history, messages to receivers. **Invariant:** an alert changes its state only after the
//! time that its limit says, and no state is lost when the service starts anew.
//!
//! Read in this order: a `state` machine for each limit, the `ledger` on disk that keeps them, the
//! `deliver`ies, and the loop that connects them.

mod deliver;
mod error;
mod grpc;
mod http;
mod keep;
pub mod limits;
mod machine;
mod message;
mod watch;

#[cfg(test)]
mod tests;

pub use self::{error::AlertError, grpc::server, watch::Alerting};
