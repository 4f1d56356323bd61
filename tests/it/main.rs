//! Integration tests.

#[cfg(test)]
mod kernel;
#[cfg(test)]
mod render;
mod mutations;
mod table_promises;
#[cfg(test)]
mod unwind;
