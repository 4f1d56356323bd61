//! Bounds of this stage.

use std::time::Duration;

/// Bytes of an answer: 110 pods is what a node has by default, and 100 KiB are a large pod.
pub(super) const ANSWER_SIZE_BYTES_MAX: u64 = 32 << 20;
/// Containers that are taken from a list. More than any node runs.
pub(super) const CONTAINERS_MAX: usize = 16_384;
/// Longest wait for the connection, and for each piece of the answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two readings of the list: a pod has its name half a minute after its start at most.
pub const REFRESH_PAUSE: Duration = Duration::from_secs(30);
