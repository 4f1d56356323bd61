//! Where a frame is, before anyone has named it.

use crate::model::{Avma, FileOffset, Naming, ObjectFile, ObjectId, Pid, Subject};

/// Where a frame of a counted stack is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Place {
    /// In an object file.
    Object {
        /// Which one.
        object: ObjectId,
        /// Where in it.
        offset: FileOffset,
    },
    /// At a bare address of a process: code made at run time, or unmapped.
    Bare {
        /// Whose address.
        pid: Pid,
        /// The address.
        address: Avma,
    },
    /// At the end of a cut stack at a bare address that no mapping holds.
    Unmapped {
        /// The address.
        address: Avma,
    },
    /// In the kernel.
    Kernel {
        /// The address.
        address: Avma,
    },
    /// Nowhere: the mark of a cut stack.
    Cut,
    /// Nowhere: what the sample is about.
    Subject(Subject),
}

/// A place with its names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamedPlace {
    /// What it is called, or why it has no name.
    pub naming: Naming,
    /// The file that holds it.
    pub object: Option<ObjectFile>,
    /// A number that is the same on every host that runs this kernel: kernel text only.
    pub kernel_offset: Option<u64>,
}
