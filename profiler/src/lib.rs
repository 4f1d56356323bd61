//! An eBPF host profiler for Linux.
//!
//! Read the rooms in the order the data travels; `ARCHITECTURE.md` is the map.

pub mod cli;
pub mod clock;
pub mod config;
pub mod host;
pub mod model;
pub mod render;
#[cfg(feature = "service")]
pub mod service;
pub mod telemetry;
pub mod wire;
