//! What this program itself uses.
//!
//! Part of the composition root. Source: proc(5).

use std::{fs, time::Duration};

use crate::clock;

/// What this program itself uses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OwnUse {
    /// CPU time, threads that ended included.
    pub(super) cpu: Duration,
    /// Memory that is in use now.
    pub(super) resident_size_bytes: u64,
}

impl OwnUse {
    /// Reads it.
    pub(super) fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            cpu: clock::process_cpu(),
            resident_size_bytes: kibibytes(&status, "VmRSS:").unwrap_or(0) * 1024,
        }
    }
}

/// Bytes of all BPF maps that this program holds open, as the kernel accounts them. Reads a file for
/// each open descriptor, so it is for once in a while.
pub(super) fn map_size_bytes() -> u64 {
    let entries = fs::read_dir("/proc/self/fdinfo").into_iter().flatten();
    let sizes = entries.filter_map(|entry| {
        let facts = fs::read_to_string(entry.ok()?.path()).ok()?;
        // Programs have a size too, but no type of map.
        facts.contains("map_type:").then_some(())?;
        let line = facts
            .lines()
            .find_map(|line| line.strip_prefix("memlock:"))?;
        line.trim().parse::<u64>().ok()
    });
    sizes.sum()
}

/// A number of kibibytes by its name.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::OwnUse;

    #[test]
    fn the_program_knows_its_own_use() {
        let own = OwnUse::read();
        assert!(1 << 20 < own.resident_size_bytes);
        assert!(!own.cpu.is_zero());
    }
}
