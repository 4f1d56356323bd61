//! Unwind rules in the kernel, shared by all tables.

use std::collections::HashMap;

use aya::maps::{Array, Map, MapData};
use profiler_common::{
    limits::RULES_MAX,
    unwind_row::{RuleCode, UnwindRule},
};

use super::{ProbeError, abi::Abi};

/// The distinct unwind rules of the host.
pub struct KernelRules {
    rules: Array<MapData, Abi<UnwindRule>>,
    /// Index of every rule in the kernel.
    known: HashMap<UnwindRule, u16>,
    /// Rules that found no room.
    refused: u64,
}

impl KernelRules {
    /// Takes the map of the probe.
    pub(super) fn new(rules: Map) -> Result<Self, ProbeError> {
        Ok(Self {
            rules: rules.try_into().map_err(|source| ProbeError::Map {
                name: "RULES",
                source,
            })?,
            known: HashMap::new(),
            refused: 0,
        })
    }

    /// Code of a rule, which is put into the kernel when it is new. With no room left the code
    /// ends the walk as unsupported, and that is counted.
    pub fn assign(&mut self, rule: &UnwindRule) -> RuleCode {
        if let Some(index) = self.known.get(rule) {
            return RuleCode::Rule(*index);
        }
        let next = u16::try_from(self.known.len()).ok();
        let free = next.filter(|next| u32::from(*next) < RULES_MAX);
        let written = free.filter(|index| self.rules.set(u32::from(*index), Abi(*rule), 0).is_ok());
        let Some(index) = written else {
            self.refused += 1;
            return RuleCode::Unsupported;
        };
        self.known.insert(*rule, index);
        RuleCode::Rule(index)
    }

    /// Distinct rules in the kernel.
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// Rules that found no room.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}
