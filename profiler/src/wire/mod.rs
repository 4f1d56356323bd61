//! The model as protobuf, and back: the only home of generated code.

mod framing;
pub mod pprof;
pub mod v1;
