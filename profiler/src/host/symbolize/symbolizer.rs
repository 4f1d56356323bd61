//! The public face: one call for object files, one for the kernel.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    kernel::KernelSymbols,
    limits::{DEADLINE_PER_OBJECT, MEMORY_SIZE_BYTES_MAX},
    object_names,
};
use crate::model::{Avma, BuildId, FileOffset, Naming};

/// How far naming goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// Memory that naming one object may use. Debug information that would need more is left
    /// out; names from symbol tables stay.
    pub memory_size_bytes_max: u64,
    /// Time that naming one object may take. What was found until then is kept.
    pub deadline_per_object: Duration,
    /// Where separate debug files are, besides beside the object.
    pub debug_dirs: Vec<PathBuf>,
    /// Whether inlined functions are told apart from the ones they are inlined into.
    pub inlines: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory_size_bytes_max: MEMORY_SIZE_BYTES_MAX,
            deadline_per_object: DEADLINE_PER_OBJECT,
            debug_dirs: vec![PathBuf::from("/usr/lib/debug")],
            inlines: true,
        }
    }
}

/// What is in an object file.
#[derive(Clone, Debug)]
pub enum Contents {
    /// Something that can be opened: a path, `/proc/self/fd/N`, `/proc/PID/map_files/…`.
    Path(PathBuf),
    /// The bytes themselves: the vDSO.
    Image(Arc<[u8]>),
}

/// An object file that frames point into.
#[derive(Clone, Debug)]
pub struct ObjectSource<'object> {
    /// The file.
    pub contents: Contents,
    /// Its path as its process sees it: a linked debug file is looked for beside it.
    pub shown_path: &'object str,
    /// Its build id, where known already; else it is read from the file.
    pub build_id: Option<BuildId>,
    /// Root directory of its process (`/proc/PID/root`), where that may be another one: debug
    /// files are looked for there first.
    pub root: Option<PathBuf>,
}

/// Finds names.
///
/// Keeps nothing between calls but the symbols of the kernel (about 5 MiB for 122,000).
#[derive(Debug)]
pub struct Symbolizer {
    /// How far to go.
    options: Options,
    /// Symbols of the kernel, once asked for.
    kernel: KernelSymbols,
}

impl Symbolizer {
    /// Starts with nothing read.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            kernel: KernelSymbols::new(PathBuf::from("/proc/kallsyms")),
        }
    }

    /// Names places in one object file, one answer for each, in the same order.
    ///
    /// An offset is that of an instruction in the function: for a caller's frame the return
    /// address less one. All memory is free again when the call returns. Give all offsets of an
    /// object at once: each call reads its symbol tables.
    pub fn name_object(
        &mut self,
        object: &ObjectSource<'_>,
        offsets: &[FileOffset],
    ) -> Vec<Naming> {
        object_names::name(object, offsets, &self.options)
            .unwrap_or_else(|error| vec![Naming::Unnamed(error.reason()); offsets.len()])
    }

    /// Names kernel addresses, one answer for each, in the same order: the kernel itself, modules
    /// (`nft_do_chain [nf_tables]`) and BPF programs (`bpf_prog_… [bpf]`).
    ///
    /// Give the new addresses of a window at once: each call with an address outside the core
    /// kernel reads `/proc/kallsyms` (about 70 ms).
    pub fn name_kernel(&mut self, addresses: &[Avma]) -> Vec<Naming> {
        self.kernel.name(addresses)
    }
}
