//! Integration tests.

#[cfg(test)]
mod unwind;
