//! Our own wire, `profiler.v1`: generated messages and services, and the way to the model and back.
//!
//! Job: what daemons deliver, as messages and as values. In: batches of the model, or bytes that
//! another program sent. Out: the other. **Invariant:** nothing in a message is trusted; what passes
//! [`decode_batch`] keeps every bound of `limits`, and every index in it pointed at something.

mod decode;
mod descriptors;
mod encode;
mod error;
pub mod generated;
pub mod limits;
mod order;
mod quality;
mod scan;
#[cfg(test)]
mod tests;

pub use self::{
    decode::decode_batch,
    descriptors::DESCRIPTORS,
    encode::encode_batch,
    error::{DecodeError, Table},
    order::{decode_burst, encode_burst},
    quality::{decode_quality, encode_quality},
    scan::decode_request,
};
