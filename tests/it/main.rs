//! Integration tests.

#[cfg(test)]
mod kernel;
#[cfg(test)]
mod render;
#[cfg(test)]
mod unwind;
