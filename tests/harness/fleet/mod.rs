//! Hosts that are not there: windows as daemons deliver them, with the stacks of a real recording.
//!
//! Job: load without hosts. In: a capture, numbers of a host and of a window. Out: batches whose totals
//! are known. The same numbers give the same batch.

mod capture;
mod host;
mod sender;

pub use self::{
    capture::Capture,
    host::{FleetShape, SimulatedHost},
    sender::Sender,
};
