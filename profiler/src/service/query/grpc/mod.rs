//! The query service over gRPC: thin, every answer comes from the plain functions.

mod answer;
mod ask;
mod gate;
mod insight;
mod service;
mod status;
mod tables;
mod watch;

pub use self::{
    gate::Gate,
    insight::{checked as check_response, regressions as regressions_response, severity, verdict},
    service::{Answers, server},
    status::status,
};
