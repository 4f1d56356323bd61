//! Questions to a small store whose answers are known.

mod answers;
mod data;
mod insight;
mod service;
mod tables;
mod world;
