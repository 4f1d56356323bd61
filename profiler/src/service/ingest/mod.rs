//! The ways in: the stream of daemons, OTLP profiles, pprof uploads.
//!
//! Job: take what arrives, check it, hand it to the store, and say when it is durable. In: messages
//! of strangers. Out: batches for the store, acknowledgements, orders for daemons. **Invariant:**
//! nothing is acknowledged before it is durable; what waits is bounded, for each client and in all;
//! one client cannot hurt another.
//! **Loses data when:** never by itself: what it cannot take stays with the sender.

mod allowance;
mod body;
mod codec;
mod counters;
mod delivery;
mod error;
mod limits;
mod otlp;
mod outgoing;
mod pprof;
mod senders;
mod server;
mod service;
mod settle;
mod stream;
mod upload;

pub use self::{
    counters::IngestCounters,
    error::UploadError,
    otlp::OtlpServer,
    pprof::upload_routes,
    senders::SenderError,
    server::IngestServer,
    service::{Ingest, IngestSettings},
};
