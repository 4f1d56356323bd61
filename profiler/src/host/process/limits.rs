//! Bounds of this stage.

use std::time::Duration;

/// Executable mappings of one process that are remembered; more than the probe keeps, so that the
/// probe's bound is the one that is counted. A guess.
pub(super) const MAPPINGS_PER_PROCESS_MAX: usize = 4_096;
/// Object files that are remembered. Their number has 23 bits in a frame.
pub(super) const OBJECTS_MAX: u32 = 1 << 20;
/// Bytes of `/proc/PID/maps` that are read: 4,096 mappings with the longest paths are less.
pub(super) const MAPS_FILE_SIZE_BYTES_MAX: u64 = 32 << 20;
/// Time an ended process is remembered, for samples still in the ring: several drains.
pub(super) const ENDED_KEPT: Duration = Duration::from_secs(5);
/// Shortest time between two repairs of one process: reading `/proc/PID/maps` costs about 100 µs.
pub(super) const REPAIR_PAUSE: Duration = Duration::from_millis(50);
