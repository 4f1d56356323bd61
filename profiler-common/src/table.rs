//! What the exact tables share: which of two is filled, and whose the rows are.
//!
//! Written by the probe and the daemon (`host/probe`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::limits::COMM_SIZE_BYTES;

/// Place in the state of the number of the table of system calls that is filled.
pub const CALL_FILLED: u32 = 0;
/// Place of the number of rows made in it since the daemon last set it; nearly right.
pub const CALL_ROWS_MADE: u32 = 1;
/// The same for the tables of TCP connections.
pub const TCP_FILLED: u32 = 2;
/// The same for the tables of TCP connections.
pub const TCP_ROWS_MADE: u32 = 3;
/// Places in the state.
pub const TABLE_STATES: u32 = 4;

/// Whose rows they are: kept apart, so that rows stay small.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct RowOwner {
    /// The cgroup (version 2) of the process.
    pub cgroup_id: u64,
    /// Name of its first thread, padded with zeros.
    pub comm: [u8; COMM_SIZE_BYTES],
}

const _: () = assert!(size_of::<RowOwner>() == 24);
