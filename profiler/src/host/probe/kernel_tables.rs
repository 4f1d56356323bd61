//! Unwind tables and rules in the kernel.

use std::collections::HashMap;

use aya::maps::{Array, ArrayOfMaps, Map, MapData};
use profiler_common::{
    limits::{RULES_MAX, TABLE_CHUNK_WORDS, TABLES_MAX},
    unwind_row::{RuleCode, UnwindRule},
};

use super::{ProbeError, abi::Abi};

/// `BPF_F_INNER_MAP`: inner arrays may differ in size.
const INNER_MAP: u32 = 0x1000;

/// One element of a table, as the kernel keeps it.
type Chunk = [u32; TABLE_CHUNK_WORDS as usize];

/// The kernel's unwind tables, and the rules they share.
pub struct KernelTables {
    tables: ArrayOfMaps<MapData, Array<MapData, Chunk>>,
    rules: Array<MapData, Abi<UnwindRule>>,
    /// Index of every rule in the kernel.
    known: HashMap<UnwindRule, u16>,
    /// Bytes of all tables.
    size_bytes: u64,
    /// Rules that found no room.
    rules_refused: u64,
}

impl KernelTables {
    /// Takes the two maps of the probe.
    pub(super) fn new(tables: Map, rules: Map) -> Result<Self, ProbeError> {
        Ok(Self {
            tables: tables.try_into().map_err(|source| ProbeError::Map {
                name: "TABLES",
                source,
            })?,
            rules: rules.try_into().map_err(|source| ProbeError::Map {
                name: "RULES",
                source,
            })?,
            known: HashMap::new(),
            size_bytes: 0,
            rules_refused: 0,
        })
    }

    /// Code of a rule, which is put into the kernel when it is new. With no room left the code
    /// ends the walk as unsupported, and that is counted.
    pub fn assign_rule(&mut self, rule: &UnwindRule) -> RuleCode {
        if let Some(index) = self.known.get(rule) {
            return RuleCode::Rule(*index);
        }
        let next = u16::try_from(self.known.len())
            .ok()
            .filter(|next| u32::from(*next) < RULES_MAX);
        let Some(index) = next else {
            self.rules_refused += 1;
            return RuleCode::Unsupported;
        };
        if self.rules.set(u32::from(index), Abi(*rule), 0).is_err() {
            self.rules_refused += 1;
            return RuleCode::Unsupported;
        }
        self.known.insert(*rule, index);
        RuleCode::Rule(index)
    }

    /// Makes a table known to the probe, from now on. Its rules must have been assigned.
    ///
    /// # Errors
    /// When the slot is past the last, or the kernel has no memory.
    pub fn load(&mut self, slot: u32, chunks: &[Chunk]) -> Result<(), ProbeError> {
        let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        let failed = |source| ProbeError::Map {
            name: "TABLES",
            source,
        };
        let mut table = Array::<MapData, Chunk>::create(count, INNER_MAP).map_err(failed)?;
        for (index, chunk) in (0..count).zip(chunks) {
            table.set(index, chunk, 0).map_err(failed)?;
        }
        self.tables.set(slot, &table, 0).map_err(failed)?;
        self.size_bytes += chunks.len() as u64 * size_of::<Chunk>() as u64;
        Ok(())
    }

    /// Slots for tables.
    pub const SLOTS: u32 = TABLES_MAX;

    /// Bytes of all tables in the kernel.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Distinct rules in the kernel.
    pub fn rules(&self) -> usize {
        self.known.len()
    }

    /// Rules that found no room.
    pub fn rules_refused(&self) -> u64 {
        self.rules_refused
    }
}
