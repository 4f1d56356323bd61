//! Integration tests.

#[cfg(test)]
mod render;
