//! Rules applied to what a service did: one file for each resource that can be short.

mod all;
mod calls;
mod cpu;
mod look;
mod memory;
mod remote;
mod wait;

#[cfg(test)]
mod fixture;

pub use self::all::find;
