//! The model as protobuf, and back: the only home of generated code.

mod framing;
#[cfg(feature = "service")]
pub mod otlp;
pub mod pprof;
pub mod push;
#[cfg(feature = "service")]
pub mod querier;
pub mod v1;
