//! What the product says of itself: conditions that need someone, and a log that cannot be flooded.
//!
//! Job: hold what is wrong now, and bound what others can make us write. In: conditions, moments.
//! Out: the list that health shows. **Invariant:** reads no time and writes nothing by itself.

mod alarms;
mod throttle;

pub use self::{
    alarms::{Alarm, Alarms},
    throttle::Throttle,
};
