//! The query service from outside: over its sockets, with its disk, through crashes.

mod crash;
mod fleet;
mod foreign;
mod totals;
