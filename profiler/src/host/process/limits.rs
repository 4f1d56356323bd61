//! Bounds of this stage.

use std::time::Duration;

/// Executable mappings of one process that are remembered; more than the probe keeps, so that the
/// probe's bound is the one that is counted. A guess.
pub(super) const MAPPINGS_PER_PROCESS_MAX: usize = 4_096;
/// Numbers of object files: 23 bits in a frame. At one new file a second they last 97 days.
pub(super) const OBJECTS_MAX: u32 = 1 << 23;
/// Object files that are remembered at once, each an open file: twice the tables the probe keeps.
pub(super) const OBJECTS_KEPT_MAX: usize = 16_384;
/// Bytes of `/proc/PID/maps` that are read: 4,096 mappings with the longest paths are less.
pub(super) const MAPS_FILE_SIZE_BYTES_MAX: u64 = 32 << 20;
/// Time an ended process is remembered, for samples still in the ring: several drains.
pub(super) const ENDED_KEPT: Duration = Duration::from_secs(5);
/// Shortest time between two repairs of one process: reading `/proc/PID/maps` costs about 100 µs.
pub(super) const REPAIR_PAUSE: Duration = Duration::from_millis(50);
/// Time in which the mappings of every process are read again: the kernel does not say when code is
/// unmapped, and a lost record must not be missed for ever.
pub(super) const REFRESH_PERIOD: Duration = Duration::from_secs(300);
/// Goes in that time, at one a second.
pub(super) const REFRESH_TURNS: usize = 300;
const _: () = assert!(REFRESH_PERIOD.as_secs() == REFRESH_TURNS as u64);
/// Processes read again at one go. At one go a second they cost 2 ms of it.
pub(super) const REFRESHED_AT_ONCE_MAX: usize = 20;
