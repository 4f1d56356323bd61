//! Profiles as OpenTelemetry's collectors and agents send them (`v1development`).
//!
//! Job: map an export request to profiles of the model. In: bytes. Out: profiles, each with the
//! name of its signal. **Invariant:** nothing in a request is trusted; a profile that does not fit is
//! left out and counted, the others are taken.
//!
//! The format is not stable: the version is that of the crate `opentelemetry-proto`.

mod attributes;
mod error;
mod limits;
mod read;
mod scan;

pub use self::{
    error::{OtlpError, ProfileError},
    read::{OtlpProfile, OtlpProfiles, read},
};
