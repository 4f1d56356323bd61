//! Rules applied to what a service did: one file for each resource that can be short.

mod all;
mod calls;
mod cpu;
mod explain;
mod look;
mod memory;
mod path;
mod remote;
mod thread;
mod wait;

#[cfg(test)]
mod fixture;

pub use self::all::find;
