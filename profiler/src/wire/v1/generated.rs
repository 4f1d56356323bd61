//! Code generated from `proto/profiler/v1`.

#![expect(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::clone_on_ref_ptr,
    missing_docs,
    unused_qualifications,
    reason = "the generator does not keep our rules"
)]

include!(concat!(env!("OUT_DIR"), "/profiler.v1.rs"));
