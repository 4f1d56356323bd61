//! Executable mappings of a process, as the probe searches them.
//!
//! A process has one root node, keyed by its pid. A process with more mappings than fit has a root
//! of kind [`NodeKind::Inner`] whose entries point to further nodes.
//!
//! Written by the daemon (`host/process`); the probe copies a root at fork and removes it at exec
//! and exit, so that no process is ever walked with another's mappings.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{codes, limits::MAPPINGS_PER_NODE};

/// Table of a mapping without one: code made at run time.
pub const TABLE_NONE: u32 = u32::MAX;
/// Object of a mapping without a file: code made at run time.
pub const OBJECT_NONE: u32 = 0;
/// Objects are numbered below this: what fits in an encoded frame.
pub const OBJECTS_MAX: u32 = 1 << 23;

codes! {
    /// What the entries of a node are.
    NodeKind: u32 {
        /// Mappings.
        Leaf = 0,
        /// Ranges; `table` is the number of the node that divides the range further.
        Inner = 1,
    }
}

/// One executable mapping, or one range of an inner node.
#[derive(
    Clone, Copy, Debug, Default, Eq, PartialEq, FromBytes, Immutable, IntoBytes, KnownLayout,
)]
#[repr(C)]
pub struct MappingEntry {
    /// First address, in the process.
    pub start: u64,
    /// One past the last address, in the process.
    pub end: u64,
    /// Offset in the file of the byte at `start`.
    pub file_offset: u64,
    /// Number the daemon gave the object file, or [`OBJECT_NONE`].
    pub object: u32,
    /// Slot of the object's unwind table, or [`TABLE_NONE`]; the child's number in an inner node.
    pub table: u32,
}

/// A sorted run of entries.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct MappingNode {
    /// Code of a [`NodeKind`].
    pub kind: u32,
    /// Entries in use, from the front.
    pub count: u32,
    /// Sorted by `start`, not overlapping.
    pub entries: [MappingEntry; MAPPINGS_PER_NODE as usize],
}

const _: () = assert!(size_of::<MappingEntry>() == 32);
const _: () = assert!(size_of::<MappingNode>() == 8 + 32 * 32);

/// Key of the root node of a process.
pub const fn root_key(pid: u32) -> u64 {
    pid as u64
}

/// Key of a node below a root.
pub const fn child_key(number: u32) -> u64 {
    1 << 32 | number as u64
}

/// Bits of a frame that hold the file offset.
const OFFSET_BITS: u32 = 40;
/// Set in a frame that names an object and an offset; clear in one that is a bare address.
const MAPPED: u64 = 1 << 63;
const _: () = assert!(OBJECTS_MAX.ilog2() + OFFSET_BITS == 63);

/// A user frame, decoded.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FramePlace {
    /// In an object file.
    Mapped {
        /// Number the daemon gave the object.
        object: u32,
        /// Offset in its file.
        file_offset: u64,
    },
    /// At a bare address: code made at run time, or unmapped.
    Bare {
        /// Address in the process.
        address: u64,
    },
}

/// Encodes a frame inside an object file. Offsets past 1 TiB wrap; no such file holds code.
pub const fn encode_mapped(object: u32, file_offset: u64) -> u64 {
    MAPPED | (object as u64) << OFFSET_BITS | file_offset & ((1 << OFFSET_BITS) - 1)
}

/// Encodes a frame at a bare user address.
pub const fn encode_bare(address: u64) -> u64 {
    address & !MAPPED
}

/// Decodes a user frame.
pub const fn decode(frame: u64) -> FramePlace {
    if frame & MAPPED == 0 {
        return FramePlace::Bare { address: frame };
    }
    FramePlace::Mapped {
        object: ((frame & !MAPPED) >> OFFSET_BITS) as u32,
        file_offset: frame & ((1 << OFFSET_BITS) - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::{FramePlace, OBJECTS_MAX, decode, encode_bare, encode_mapped};

    #[test]
    fn frames_survive_the_round_trip() {
        for (object, file_offset) in [(0, 0), (1, 0x1000), (OBJECTS_MAX - 1, (1 << 40) - 1)] {
            let place = FramePlace::Mapped {
                object,
                file_offset,
            };
            assert_eq!(place, decode(encode_mapped(object, file_offset)));
        }
        let address = 0x7fff_ffff_f000;
        assert_eq!(FramePlace::Bare { address }, decode(encode_bare(address)));
    }
}
