//! Unwind tables in the kernel.

use std::{
    collections::HashMap,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Mutex, PoisonError},
};

use aya::maps::{Array, ArrayOfMaps, Map, MapData};
use profiler_common::limits::{TABLE_CHUNK_WORDS, TABLES_MAX};

use super::{ProbeError, sys};

/// `BPF_F_INNER_MAP`: inner arrays may differ in size.
const INNER_MAP: u32 = 0x1000;

/// One element of a table, as the kernel keeps it.
type Chunk = [u32; TABLE_CHUNK_WORDS as usize];

/// The library's handle on the slots.
type Slots = ArrayOfMaps<MapData, Array<MapData, Chunk>>;

/// A table in the kernel's memory that the probe does not know yet.
pub struct PreparedTable {
    array: Array<MapData, Chunk>,
    size_bytes: u64,
}

impl PreparedTable {
    /// Copies a table into the kernel.
    ///
    /// # Errors
    /// When the kernel has no memory for it.
    pub fn new(chunks: &[Chunk]) -> Result<Self, ProbeError> {
        let failed = |source| ProbeError::Map {
            name: "TABLES",
            source,
        };
        let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        let mut array = Array::<MapData, Chunk>::create(count, INNER_MAP).map_err(failed)?;
        for (index, chunk) in (0..count).zip(chunks) {
            array.set(index, chunk, 0).map_err(failed)?;
        }
        let size_bytes = chunks.len() as u64 * size_of::<Chunk>() as u64;
        Ok(Self { array, size_bytes })
    }
}

/// The slots where the probe finds tables.
#[derive(Debug)]
pub struct KernelTables {
    slots: OwnedFd,
    /// Bytes of each table by slot.
    sizes_bytes: Mutex<HashMap<u32, u64>>,
}

impl KernelTables {
    /// Slots for tables.
    pub const SLOTS: u32 = TABLES_MAX;

    /// Takes the map of the probe.
    pub(super) fn new(slots: &Map) -> Result<Self, ProbeError> {
        let Map::ArrayOfMaps(slots) = slots else {
            return Err(ProbeError::Missing { name: "TABLES" });
        };
        let slots = slots.fd().as_fd().try_clone_to_owned();
        Ok(Self {
            slots: slots.map_err(|source| ProbeError::Publish { source })?,
            sizes_bytes: Mutex::default(),
        })
    }

    /// Makes a table known to the probe. It is found from the start of this call on; the call
    /// itself returns only when no walk can be using what was in the slot before (5 to 20 ms), so
    /// call it where waiting does no harm, from several threads at once.
    ///
    /// # Errors
    /// When the slot is past the last.
    pub fn publish(&self, slot: u32, table: &PreparedTable) -> Result<(), ProbeError> {
        self.own_handle()?
            .set(slot, &table.array, 0)
            .map_err(|source| ProbeError::Map {
                name: "TABLES",
                source,
            })?;
        self.sizes().insert(slot, table.size_bytes);
        Ok(())
    }

    /// Takes a table out of its slot and gives its memory back. Nothing may name the slot any more;
    /// a walk that did would be cut. Waits as [`KernelTables::publish`] does.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn withdraw(&self, slot: u32) -> Result<(), ProbeError> {
        if self.sizes().remove(&slot).is_none() {
            return Ok(());
        }
        sys::delete_map_element(self.slots.as_fd(), slot)
            .map_err(|source| ProbeError::Publish { source })
    }

    /// Sizes by slot.
    fn sizes(&self) -> std::sync::MutexGuard<'_, HashMap<u32, u64>> {
        self.sizes_bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle of the calling thread's own: the library's call wants the map for itself while it
    /// waits.
    fn own_handle(&self) -> Result<Slots, ProbeError> {
        let slots = self
            .slots
            .try_clone()
            .map_err(|source| ProbeError::Publish { source })?;
        MapData::from_fd(slots)
            .and_then(|slots| Map::ArrayOfMaps(slots).try_into())
            .map_err(|source| ProbeError::Map {
                name: "TABLES",
                source,
            })
    }

    /// Bytes of all tables in the kernel.
    pub fn size_bytes(&self) -> u64 {
        self.sizes().values().sum()
    }
}
