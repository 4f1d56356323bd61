//! Samples to counted stacks of one window.
//!
//! Job: count equal stacks of equal threads once, and give frames and stacks their content
//! addresses. In: [`StackSample`](crate::model::StackSample). Out:
//! [`Profile`](crate::model::Profile). **Invariant:** memory grows with distinct stacks, not with
//! samples. **Loses data when:** a window holds more distinct stacks than its bound, counted as
//! [`Loss::TableFull`](crate::model::Loss).

mod identity;
mod limits;
mod place;
mod profile;
mod wait_reason;
mod window;

pub use self::{
    place::{NamedPlace, Place},
    profile::{Names, ProfileFacts, build_profile, period},
    window::{CountedStack, Window},
};
