//! Integration tests.

#[cfg(test)]
mod kernel;
