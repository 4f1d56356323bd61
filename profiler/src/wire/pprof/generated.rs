//! Code generated from `proto/vendor/pprof/profile.proto`.

#![expect(
    clippy::doc_link_with_quotes,
    clippy::doc_markdown,
    unreachable_pub,
    reason = "the generator's style"
)]

include!(concat!(env!("OUT_DIR"), "/perftools.profiles.rs"));
