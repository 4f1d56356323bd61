//! The model as protobuf, and back: the only home of generated code.

pub mod pprof;
pub mod v1;
