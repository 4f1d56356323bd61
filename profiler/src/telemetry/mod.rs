//! What the product says of itself: conditions that need someone, and a log that cannot be flooded.
//!
//! Job: hold what is wrong now, and bound what others can make us write. In: conditions, moments.
//! Out: the list that health shows. **Invariant:** reads no time and writes nothing by itself.

mod alarms;
mod throttle;

/// Target of the spans that make up traces of our own work; everything else is the log.
pub const TRACES: &str = concat!(env!("CARGO_CRATE_NAME"), "::traces");

pub use self::{
    alarms::{Alarm, Alarms},
    throttle::Throttle,
};
