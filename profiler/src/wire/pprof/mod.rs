//! Profiles as `go tool pprof` reads and writes them.
//!
//! Job: map a [`Profile`](crate::model::Profile) to gzipped `perftools.profiles.Profile` messages
//! and back. In: profiles or bytes. Out: bytes or profiles.
//!
//! | Model | pprof |
//! |---|---|
//! | frame | location; its functions are the lines, innermost first |
//! | frame without a name | location without lines |
//! | object file | mapping: file name, build id, an address range of its own |
//! | kernel, JIT | mapping named `[kernel…`, `[jit…` |
//! | truncation mark | location of the function `[truncated]` |
//! | task | labels `pid`, `tid`, `comm`, `thread` |
//! | quality | comments, for people |

mod error;
mod generated;
mod limits;
mod mapping;
mod read;
mod scan;
mod write;

pub use self::{
    error::{ReadError, Reference, WriteError},
    read::read,
    write::{write, write_joined},
};
