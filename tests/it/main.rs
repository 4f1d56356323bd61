//! Integration tests.

#[cfg(test)]
mod mutations;
#[cfg(test)]
mod table_promises;
#[cfg(test)]
mod unwind;
