//! Record bytes to events.
//!
//! Job: decode what the kernel wrote. In: sample and notice records of the probe, process records
//! of the kernel. Out: [`Event`](crate::model::Event).
//! **Invariant:** nothing in a record is trusted; no input panics.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod decode;
mod error;
mod mmap;
mod process_events;
mod process_record;
mod tcp;

pub use self::{
    decode::{decode_notice, decode_sample},
    error::DecodeError,
    mmap::PerfRing,
    process_events::ProcessEvents,
    process_record::decode_process_record,
    tcp::{decode_measure, decode_peer},
};
