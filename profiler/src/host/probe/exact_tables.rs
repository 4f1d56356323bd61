//! The exact tables, taken out of the kernel.
//!
//! There are two tables of each kind. The probe fills one; to take its rows, it is told to fill the
//! other, and when no program can be using the first any more, that one is emptied: nothing is lost
//! or counted twice.

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
    system_call::{CallKey, CallSums},
    table::{CALL_FILLED, CALL_ROWS_MADE, RowOwner, TCP_FILLED, TCP_ROWS_MADE},
    tcp::{TcpKey, TcpSums},
};
use zerocopy::FromBytes;

use super::{ProbeError, abi::Abi, sys};

/// Names of the maps that all tables share.
const STATE: &str = "TABLE_STATE";
const OWNERS: &str = "ROW_OWNERS";
/// Rows that are taken at one go. More than ever share a bucket of the kernel's hash table, or it
/// would refuse.
const BATCH_ROWS: u32 = 1_024;

/// A row that was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TableRow<K, S> {
    /// What was counted.
    pub key: K,
    /// The counts of all CPUs.
    pub sums: S,
    /// The cgroup (version 2) of the process; zero when it is not known any more.
    pub cgroup_id: u64,
    /// Name of the first thread of the process, padded with zeros.
    pub comm: [u8; COMM_SIZE_BYTES],
}

/// A row of the table of system calls.
pub type CallRow = TableRow<CallKey, CallSums>;
/// A row of the table of TCP connections.
pub type TcpRow = TableRow<TcpKey, TcpSums>;

/// A kind of table.
trait Kind {
    /// What tells rows apart.
    type Key: FromBytes + Copy;
    /// What a row counts.
    type Sums: FromBytes + Copy + Default;
    /// Names of the two maps.
    const MAPS: [&'static str; 2];
    /// Places in the state: which is filled, and how many rows were made.
    const STATE: [u32; 2];

    /// The process of a row.
    fn pid(key: &Self::Key) -> u32;

    /// The counts of two CPUs.
    fn add(one: Self::Sums, other: Self::Sums) -> Self::Sums;
}

/// System calls.
#[derive(Debug)]
struct Calls;

impl Kind for Calls {
    type Key = CallKey;
    type Sums = CallSums;
    const MAPS: [&'static str; 2] = ["CALL_TABLE_0", "CALL_TABLE_1"];
    const STATE: [u32; 2] = [CALL_FILLED, CALL_ROWS_MADE];

    fn pid(key: &CallKey) -> u32 {
        key.pid
    }

    fn add(one: CallSums, other: CallSums) -> CallSums {
        CallSums {
            calls: one.calls.saturating_add(other.calls),
            time_ns: one.time_ns.saturating_add(other.time_ns),
        }
    }
}

/// TCP connections.
#[derive(Debug)]
struct Connections;

impl Kind for Connections {
    type Key = TcpKey;
    type Sums = TcpSums;
    const MAPS: [&'static str; 2] = ["TCP_TABLE_0", "TCP_TABLE_1"];
    const STATE: [u32; 2] = [TCP_FILLED, TCP_ROWS_MADE];

    fn pid(key: &TcpKey) -> u32 {
        key.pid
    }

    fn add(one: TcpSums, other: TcpSums) -> TcpSums {
        TcpSums {
            events: one.events.saturating_add(other.events),
            time_ns: one.time_ns.saturating_add(other.time_ns),
            bytes: one.bytes.saturating_add(other.bytes),
        }
    }
}

/// The two tables of a kind.
struct Pair {
    tables: [Map; 2],
    filled: u64,
}

/// The tables of the probe.
pub struct ExactTables {
    calls: Pair,
    connections: Pair,
    state: Array<MapData, u64>,
    owners: KernelHashMap<MapData, u32, Abi<RowOwner>>,
    /// CPUs that the kernel keeps sums for.
    cpus: usize,
    /// Whether system calls, and TCP connections, are counted at all.
    counted: [bool; 2],
}

impl ExactTables {
    /// Takes the maps out of the object. `counted` says whether system calls and TCP connections
    /// are counted at all: taking rows takes time.
    ///
    /// # Errors
    /// When the object or the machine is not what it should be.
    pub(super) fn take(object: &mut Ebpf, counted: [bool; 2]) -> Result<Self, ProbeError> {
        let mut take = |name| object.take_map(name).ok_or(ProbeError::Missing { name });
        let mut pair = |[first, second]: [&'static str; 2]| {
            Ok(Pair {
                tables: [take(first)?, take(second)?],
                filled: 0,
            })
        };
        let (calls, connections) = (pair(Calls::MAPS)?, pair(Connections::MAPS)?);
        let (state, owners) = (take(STATE)?.try_into(), take(OWNERS)?.try_into());
        Ok(Self {
            calls,
            connections,
            state: state.map_err(|source| ProbeError::Map {
                name: STATE,
                source,
            })?,
            owners: owners.map_err(|source| ProbeError::Map {
                name: OWNERS,
                source,
            })?,
            cpus: nr_cpus().map_err(|(path, source)| ProbeError::Cpus {
                path: path.to_owned(),
                source,
            })?,
            counted,
        })
    }

    /// Rows of the fuller kind of table that were made since they were last taken; nearly right.
    pub fn rows_made(&self) -> u64 {
        let made = |place: u32| self.state.get(&place, 0).unwrap_or_default();
        made(CALL_ROWS_MADE).max(made(TCP_ROWS_MADE))
    }

    /// Takes every row of system calls, and leaves their table empty. Waits until no program uses it
    /// any more: 5 to 20 ms.
    ///
    /// # Errors
    /// What the kernel refused. Rows that were not taken are taken the time after the next.
    pub fn take_calls(&mut self) -> Result<Vec<CallRow>, ProbeError> {
        let [true, _] = self.counted else {
            return Ok(Vec::new());
        };
        let full = change::<Calls>(&mut self.state, &mut self.calls)?;
        self.rows::<Calls>(&self.calls, full)
    }

    /// The same of TCP connections.
    ///
    /// # Errors
    /// As above.
    pub fn take_connections(&mut self) -> Result<Vec<TcpRow>, ProbeError> {
        let [_, true] = self.counted else {
            return Ok(Vec::new());
        };
        let full = change::<Connections>(&mut self.state, &mut self.connections)?;
        self.rows::<Connections>(&self.connections, full)
    }

    /// The rows of a table that nobody fills any more, with whose each is.
    fn rows<K: Kind>(&self, pair: &Pair, full: u64) -> Result<RowsOf<K>, ProbeError> {
        let [first, second] = &pair.tables;
        let table = if full == 0 { first } else { second };
        let rows = take_all::<K>(fd_of(table)?, self.cpus)
            .map_err(|source| ProbeError::ExactTable { source })?;
        let mut owners: HashMap<u32, RowOwner> = HashMap::new();
        let mut row = |(key, sums): (K::Key, K::Sums)| {
            let owner = owners.entry(K::pid(&key)).or_insert_with_key(|pid| {
                let known = self.owners.get(pid, 0);
                known.map_or_else(|_absent| RowOwner::default(), |Abi(owner)| owner)
            });
            TableRow {
                key,
                sums,
                cgroup_id: owner.cgroup_id,
                comm: owner.comm,
            }
        };
        Ok(rows.into_iter().map(&mut row).collect())
    }
}

/// Rows of a kind of table, with whose each is.
type RowsOf<K> = Vec<TableRow<<K as Kind>::Key, <K as Kind>::Sums>>;

/// Rows of a kind of table as they are in it.
type BareRowsOf<K> = Vec<(<K as Kind>::Key, <K as Kind>::Sums)>;

/// Has the probe fill the other table; gives the number of the one that is full, which no program
/// uses any more.
fn change<K: Kind>(state: &mut Array<MapData, u64>, pair: &mut Pair) -> Result<u64, ProbeError> {
    let failed = |source| ProbeError::Map {
        name: STATE,
        source,
    };
    let [filled, rows_made] = K::STATE;
    let full = pair.filled;
    state.set(filled, 1 - full, 0).map_err(failed)?;
    state.set(rows_made, 0, 0).map_err(failed)?;
    pair.filled = 1 - full;
    sys::wait_for_programs().map_err(|source| ProbeError::ExactTable { source })?;
    Ok(full)
}

/// The descriptor of a table.
fn fd_of(table: &Map) -> Result<BorrowedFd<'_>, ProbeError> {
    let Map::PerCpuHashMap(data) = table else {
        return Err(ProbeError::Missing {
            name: Calls::MAPS[0],
        });
    };
    Ok(data.fd().as_fd())
}

/// Takes every row out of a table that nobody fills.
fn take_all<K: Kind>(table: BorrowedFd<'_>, cpus: usize) -> std::io::Result<BareRowsOf<K>> {
    let (key_size, sums_size) = (size_of::<K::Key>(), size_of::<K::Sums>());
    let batch = BATCH_ROWS as usize;
    let mut keys = vec![0_u8; batch * key_size];
    let mut values = vec![0_u8; batch * cpus * sums_size];
    let mut rows = Vec::new();
    let mut cursor = None;
    loop {
        let taken = sys::take_batch(table, cursor, &mut keys, &mut values, BATCH_ROWS)?;
        let keys = keys.chunks_exact(key_size);
        let values = values.chunks_exact(cpus * sums_size);
        for (key, values) in keys.zip(values).take(taken.count as usize) {
            if let Ok(key) = K::Key::read_from_bytes(key) {
                rows.push((key, sum::<K>(values)));
            }
        }
        match taken.next {
            Some(next) => cursor = Some(next),
            None => return Ok(rows),
        }
    }
}

/// The sums of all CPUs.
fn sum<K: Kind>(values: &[u8]) -> K::Sums {
    let each = values.chunks_exact(size_of::<K::Sums>());
    let each = each.filter_map(|bytes| K::Sums::read_from_bytes(bytes).ok());
    each.fold(K::Sums::default(), K::add)
}
