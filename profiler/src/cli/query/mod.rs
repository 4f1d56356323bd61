//! `profiler query`: questions to the query service, answered as tables, JSON or files.
//!
//! Job: arguments to a question over gRPC to text. Read in this order: what can be asked, when,
//! how to reach the service, then one file for each kind of answer.

mod alerts;
mod args;
mod bottlenecks;
mod client;
mod diff;
mod error;
mod flame_graph;
mod format;
mod function;
mod json;
mod lately;
mod listing;
mod regressions;
mod run;
mod series;
mod tables;
mod text;
mod time;
mod top;
mod watch;

#[cfg(feature = "service")]
pub(crate) use self::{
    args::ConnectionArgs,
    client::{ask, connect, refused},
    regressions::draw as draw_regressions,
    text::{Side, Table},
};
pub use self::{
    args::QueryArgs,
    error::{UnreachableError, UsageError},
    run::run,
};
