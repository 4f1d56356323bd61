//! Integration tests.

#[cfg(test)]
mod kernel;
#[cfg(test)]
mod unwind;
