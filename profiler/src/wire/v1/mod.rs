//! Our own wire, `profiler.v1`: generated messages and services, and the way to the model and back.

pub mod generated;

/// Descriptors of every message and service, as reflection serves them.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/profiler.v1.descriptors"));
