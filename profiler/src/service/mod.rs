//! The query service: takes what daemons deliver, stores it and answers.
//!
//! Stages in the order the data travels; `run` connects them.

pub mod live;
pub mod query;
pub mod store;
