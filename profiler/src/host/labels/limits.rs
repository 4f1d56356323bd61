//! Bounds of this stage.

/// Bytes of `/proc/PID/cgroup` that are read: a dozen hierarchies with long paths.
pub(super) const CGROUP_FILE_SIZE_BYTES_MAX: u64 = 16 << 10;
/// Processes whose labels are remembered; past it all are looked up again, at about 40 µs each. More
/// than run on any host seen.
pub(super) const PROCESSES_MAX: usize = 32_768;
/// Thread names of one process whose labels are remembered. A guess: most have fewer than ten.
pub(super) const THREAD_NAMES_MAX: usize = 256;
/// Cgroups whose path is remembered, for processes that end before they are read.
pub(super) const CGROUPS_MAX: usize = 8_192;
/// Bytes of the program that a regular expression compiles to.
pub(super) const REGEX_SIZE_BYTES_MAX: usize = 1 << 20;
/// Bytes of a label's value; a longer one is cut. Paths are 4,096 at most.
pub(super) const VALUE_SIZE_BYTES_MAX: usize = 4_096;
/// Hexadecimal digits of a container's id where a short name is wanted: as `docker ps` shows it.
pub(super) const SHORT_ID_DIGITS: usize = 12;
