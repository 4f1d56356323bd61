//! One level of a stack: what it is, and what it is called.

use serde::{Deserialize, Serialize};

use super::{FrameId, ObjectIndex};

/// Where the code of a frame came from.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// Machine code from an object file (the vDSO included).
    Native,
    /// The kernel, its modules and BPF programs.
    Kernel,
    /// Machine code made at run time, or an interpreter's function.
    Jit,
    /// Not code: a mark that the stack was cut above this point, so that the loss is visible.
    Truncated,
    /// Not code: a part of the key of an exact table, such as an errno or a span of durations.
    Table,
}

/// One level of a stack: identity, kind and names.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Frame {
    /// Content address over the unsymbolized identity; the same on every host.
    pub id: FrameId,
    /// High half of the frame's 128-bit hash: settles collisions of ids. Zero when unknown.
    #[serde(default)]
    pub hash_high: u64,
    /// Where the code came from.
    pub kind: FrameKind,
    /// The file that holds the code; absent for code without one.
    pub object: Option<ObjectIndex>,
    /// Offset in `object` (`FileOffset`), or the address itself (`Avma`) where there is no file.
    pub address: u64,
    /// What it is called, or why it has no name.
    pub naming: Naming,
}

/// What a frame is called.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Naming {
    /// Innermost inlined function first; the last one is the function the machine code is in.
    /// Never empty.
    Named(Vec<Location>),
    /// No name exists, and why.
    Unnamed(Reason),
}

/// A function with the place in its source.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub struct Location {
    /// Demangled name.
    pub function: String,
    /// Source file; absent without debug information.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in `file`, from 1; absent without debug information.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// Why a frame has no name. Absence is a value, not an error.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The file's symbols do not cover this address.
    Stripped,
    /// Code made at run time, and no perf map names it.
    Jit,
    /// No mapping of the process held this address.
    Unmapped,
    /// The file could not be opened any more, or not read.
    Unreadable,
    /// The file is not one the symbol reader understands.
    Malformed,
    /// A memory or time bound stopped the search for a name.
    Bounded,
    /// Kernel symbols are hidden from this process (`kernel.kptr_restrict`).
    KernelHidden,
    /// The input format carries no name here.
    NotRecorded,
}
