//! The query service: takes what daemons deliver, stores it and answers.
//!
//! Stages in the order the data travels; `run` and the files beside it connect them.

pub mod access;
mod admin;
pub mod alert;
mod connections;
mod gauges;
pub mod grafana;
pub mod ingest;
pub mod insight;
pub mod live;
pub mod query;
mod recorded;
pub mod run;
pub mod store;
pub mod web;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod grafana_tests;
#[cfg(test)]
mod http_tests;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod web_tests;
