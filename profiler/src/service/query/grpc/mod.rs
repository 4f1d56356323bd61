//! The query service over gRPC: thin, every answer comes from the plain functions.

mod answer;
mod ask;
mod gate;
mod service;
mod status;
mod watch;

pub use self::{
    gate::Gate,
    service::{Answers, server},
    status::status,
};
