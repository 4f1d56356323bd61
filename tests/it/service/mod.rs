//! The query service from outside: over its sockets, with its disk, through crashes.

mod backup;
mod client;
mod crash;
mod fleet;
mod foreign;
mod tables;
pub(crate) mod totals;
mod web;
