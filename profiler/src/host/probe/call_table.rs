//! The exact table of system calls, taken out of the kernel.
//!
//! There are two tables. The probe fills one; to take its rows, it is told to fill the other, and
//! when no program can be using the first any more, that one is emptied: no call is lost or counted
//! twice.

use std::{
    collections::HashMap,
    os::fd::{AsFd as _, BorrowedFd},
};

use aya::{
    Ebpf,
    maps::{Array, HashMap as KernelHashMap, Map, MapData},
    util::nr_cpus,
};
use profiler_common::{
    limits::COMM_SIZE_BYTES,
    system_call::{CallKey, CallOwner, CallSums},
};
use zerocopy::FromBytes as _;

use super::{ProbeError, abi::Abi, sys};

/// Names of the maps.
const TABLES: [&str; 2] = ["CALL_TABLE_0", "CALL_TABLE_1"];
const STATE: &str = "CALL_TABLE_STATE";
const OWNERS: &str = "CALL_OWNERS";
/// Places in the state: which table is filled, and how many rows were made.
const FILLED: u32 = 0;
const ROWS_MADE: u32 = 1;
/// Rows that are taken at one go. More than ever share a bucket of the kernel's hash table, or it
/// would refuse.
const BATCH_ROWS: u32 = 1_024;

/// A row that was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CallRow {
    /// What was counted.
    pub key: CallKey,
    /// The counts of all CPUs.
    pub sums: CallSums,
    /// The cgroup (version 2) of the process; zero when it is not known any more.
    pub cgroup_id: u64,
    /// Name of the first thread of the process, padded with zeros.
    pub comm: [u8; COMM_SIZE_BYTES],
}

/// The tables of the probe.
pub struct CallTable {
    tables: [Map; 2],
    state: Array<MapData, u64>,
    owners: KernelHashMap<MapData, u32, Abi<CallOwner>>,
    filled: u64,
    /// CPUs that the kernel keeps sums for.
    cpus: usize,
}

impl std::fmt::Debug for CallTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallTable")
            .field("filled", &self.filled)
            .finish_non_exhaustive()
    }
}

impl CallTable {
    /// Takes the maps out of the object.
    ///
    /// # Errors
    /// When the object or the machine is not what it should be.
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, ProbeError> {
        let mut take = |name| object.take_map(name).ok_or(ProbeError::Missing { name });
        let [first, second] = TABLES;
        let tables = [take(first)?, take(second)?];
        let state = take(STATE)?.try_into();
        let owners = take(OWNERS)?.try_into();
        Ok(Self {
            tables,
            state: state.map_err(|source| ProbeError::Map {
                name: STATE,
                source,
            })?,
            owners: owners.map_err(|source| ProbeError::Map {
                name: OWNERS,
                source,
            })?,
            filled: 0,
            cpus: nr_cpus().map_err(|(path, source)| ProbeError::Cpus {
                path: path.to_owned(),
                source,
            })?,
        })
    }

    /// Rows made since they were last taken; nearly right.
    pub fn rows_made(&self) -> u64 {
        self.state.get(&ROWS_MADE, 0).unwrap_or_default()
    }

    /// Takes every row, and leaves the table empty. Waits until no program uses it any more: 5 to
    /// 20 ms.
    ///
    /// # Errors
    /// What the kernel refused. Rows that were not taken are taken the time after the next.
    pub fn take_rows(&mut self) -> Result<Vec<CallRow>, ProbeError> {
        let state = |source| ProbeError::Map {
            name: STATE,
            source,
        };
        let full = self.filled;
        let other = 1 - full;
        self.state.set(FILLED, other, 0).map_err(state)?;
        self.state.set(ROWS_MADE, 0, 0).map_err(state)?;
        self.filled = other;
        let failed = |source| ProbeError::CallTable { source };
        sys::wait_for_programs().map_err(failed)?;
        let table = if full == 0 {
            &self.tables[0]
        } else {
            &self.tables[1]
        };
        let rows = take_all(fd_of(table)?, self.cpus).map_err(failed)?;
        Ok(self.name_owners(rows))
    }

    /// Adds whose each row is.
    fn name_owners(&self, rows: Vec<(CallKey, CallSums)>) -> Vec<CallRow> {
        let mut owners: HashMap<u32, CallOwner> = HashMap::new();
        let mut row = |(key, sums): (CallKey, CallSums)| {
            let owner = owners.entry(key.pid).or_insert_with(|| {
                let known = self.owners.get(&key.pid, 0);
                known.map_or_else(|_absent| CallOwner::default(), |Abi(owner)| owner)
            });
            CallRow {
                key,
                sums,
                cgroup_id: owner.cgroup_id,
                comm: owner.comm,
            }
        };
        rows.into_iter().map(&mut row).collect()
    }
}

/// The descriptor of a table.
fn fd_of(table: &Map) -> Result<BorrowedFd<'_>, ProbeError> {
    match table {
        Map::PerCpuHashMap(data) => Ok(data.fd().as_fd()),
        _other => Err(ProbeError::Missing { name: TABLES[0] }),
    }
}

/// Takes every row out of a table that nobody fills.
fn take_all(table: BorrowedFd<'_>, cpus: usize) -> std::io::Result<Vec<(CallKey, CallSums)>> {
    let batch = BATCH_ROWS as usize;
    let mut keys = vec![0_u8; batch * size_of::<CallKey>()];
    let mut values = vec![0_u8; batch * cpus * size_of::<CallSums>()];
    let mut rows = Vec::new();
    let mut cursor = None;
    loop {
        let taken = sys::take_batch(table, cursor, &mut keys, &mut values, BATCH_ROWS)?;
        let count = taken.count as usize;
        let keys = keys.chunks_exact(size_of::<CallKey>());
        let values = values.chunks_exact(cpus * size_of::<CallSums>());
        for (key, values) in keys.zip(values).take(count) {
            let Ok(key) = CallKey::read_from_bytes(key) else {
                continue;
            };
            rows.push((key, sum(values)));
        }
        match taken.next {
            Some(next) => cursor = Some(next),
            None => return Ok(rows),
        }
    }
}

/// The sums of all CPUs.
fn sum(values: &[u8]) -> CallSums {
    let each = values.chunks_exact(size_of::<CallSums>());
    let each = each.filter_map(|bytes| CallSums::read_from_bytes(bytes).ok());
    each.fold(CallSums::default(), |sum, one| CallSums {
        calls: sum.calls.saturating_add(one.calls),
        time_ns: sum.time_ns.saturating_add(one.time_ns),
    })
}
