//! Pushes of pprof profiles with labels, as clients of Pyroscope send them.
//!
//! Job: the messages of `push.v1.PusherService`. In: bytes. Out: labels and raw pprof profiles.
//! **Invariant:** what is read is bounded by `limits`.

mod limits;
mod message;
mod name;

pub use self::{
    message::{LabelPair, PushRequest, RawProfileSeries, RawSample, decode_push},
    name::{AppName, parse_name},
};
