//! Integration tests.

#[cfg(test)]
mod kernel;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod render;
#[cfg(test)]
mod service;
#[cfg(test)]
mod table_promises;
#[cfg(test)]
mod unwind;
