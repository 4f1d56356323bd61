//! Mappings of processes in the kernel.

use std::collections::HashMap as StdHashMap;

use aya::maps::{HashMap, Map, MapData};
use profiler_common::{
    limits::{MAPPINGS_PER_NODE, MAPPINGS_PER_PROCESS_MAX},
    mapping::{MappingEntry, MappingNode, NodeKind, TABLE_NONE, child_key, root_key},
};

use super::{ProbeError, abi::Abi};
use crate::model::{Avma, FileOffset, ObjectId, Pid};

/// One executable mapping, as the probe needs it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KernelMapping {
    /// First address.
    pub start: Avma,
    /// One past the last address.
    pub end: Avma,
    /// Offset in the file of the byte at `start`.
    pub file_offset: FileOffset,
    /// The file; absent for code made at run time.
    pub object: Option<ObjectId>,
    /// Slot of its table; absent when it has none.
    pub slot: Option<u32>,
}

/// The probe's view of every process.
#[derive(Debug)]
pub struct KernelMappings {
    nodes: HashMap<MapData, u64, Abi<MappingNode>>,
    /// Numbers of the child nodes of large processes.
    children: StdHashMap<Pid, Vec<u32>>,
    /// Children that no root names any more, but that a forked copy of a root may.
    retired: Vec<u32>,
    next_child: u32,
    /// Mappings that found no room.
    refused: u64,
}

/// Retired children that are kept before the oldest half goes: forked copies live for microseconds
/// to seconds before they exec or are rewritten.
const RETIRED_MAX: usize = 256;

impl KernelMappings {
    /// Takes the map of the probe.
    pub(super) fn new(nodes: Map) -> Result<Self, ProbeError> {
        Ok(Self {
            nodes: nodes.try_into().map_err(|source| ProbeError::Map {
                name: "MAPPINGS",
                source,
            })?,
            children: StdHashMap::new(),
            retired: Vec::new(),
            next_child: 0,
            refused: 0,
        })
    }

    /// Replaces what the probe knows of a process. `mappings` are sorted and do not overlap.
    pub fn replace(&mut self, pid: Pid, mappings: &[KernelMapping]) {
        let limit = usize::try_from(MAPPINGS_PER_PROCESS_MAX).unwrap_or(usize::MAX);
        let (kept, refused) = mappings.split_at(mappings.len().min(limit));
        self.refused += refused.len() as u64;
        let entries: Vec<MappingEntry> = kept.iter().map(entry).collect();
        let old_children = self.children.remove(&pid);
        let root = if entries.len() <= MAPPINGS_PER_NODE as usize {
            node(NodeKind::Leaf, &entries)
        } else {
            self.insert_children(pid, &entries)
        };
        self.insert(root_key(pid.0), &root);
        self.retire(old_children.unwrap_or_default());
    }

    /// Writes the leaves of a large process; returns its root.
    fn insert_children(&mut self, pid: Pid, entries: &[MappingEntry]) -> MappingNode {
        let mut ranges = Vec::new();
        let mut numbers = Vec::new();
        for leaf in entries.chunks(MAPPINGS_PER_NODE as usize) {
            let (Some(first), Some(last)) = (leaf.first(), leaf.last()) else {
                continue;
            };
            let number = self.next_child;
            self.next_child = self.next_child.wrapping_add(1);
            self.insert(child_key(number), &node(NodeKind::Leaf, leaf));
            numbers.push(number);
            ranges.push(MappingEntry {
                start: first.start,
                end: last.end,
                table: number,
                ..MappingEntry::default()
            });
        }
        self.children.insert(pid, numbers);
        node(NodeKind::Inner, &ranges)
    }

    /// Forgets a process.
    pub fn remove(&mut self, pid: Pid) {
        // Short-lived processes often were never known here; that is no failure.
        drop(self.nodes.remove(&root_key(pid.0)));
        let children = self.children.remove(&pid).unwrap_or_default();
        self.retire(children);
    }

    /// Mappings and processes that found no room.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Writes one node, or counts that there is no room for it.
    fn insert(&mut self, key: u64, node: &MappingNode) {
        if self.nodes.insert(key, Abi(*node), 0).is_err() {
            self.refused += 1;
        }
    }

    /// Lets go of children, the oldest for good.
    fn retire(&mut self, children: Vec<u32>) {
        self.retired.extend(children);
        if RETIRED_MAX < self.retired.len() {
            for number in self.retired.drain(..RETIRED_MAX / 2) {
                // Gone already only if the map was full when it was written.
                drop(self.nodes.remove(&child_key(number)));
            }
        }
    }
}

/// A node of sorted entries, at most as many as fit.
fn node(kind: NodeKind, entries: &[MappingEntry]) -> MappingNode {
    let mut slots = [MappingEntry::default(); MAPPINGS_PER_NODE as usize];
    for (slot, entry) in slots.iter_mut().zip(entries) {
        *slot = *entry;
    }
    let count = u32::try_from(entries.len())
        .unwrap_or(u32::MAX)
        .min(MAPPINGS_PER_NODE);
    MappingNode {
        kind: kind as u32,
        count,
        entries: slots,
    }
}

/// A mapping as the probe reads it.
fn entry(mapping: &KernelMapping) -> MappingEntry {
    MappingEntry {
        start: mapping.start.0,
        end: mapping.end.0,
        file_offset: mapping.file_offset.0,
        object: mapping
            .object
            .map_or(profiler_common::mapping::OBJECT_NONE, |object| object.0),
        table: mapping.slot.unwrap_or(TABLE_NONE),
    }
}
