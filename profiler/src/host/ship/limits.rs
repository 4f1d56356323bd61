//! Bounds of this stage.

use std::time::Duration;

/// Bytes of one record of the spool: a message that the service takes has 16 MiB before compression.
pub(super) const RECORD_SIZE_BYTES_MAX: u64 = 20 << 20;
/// Largest and smallest segment of the spool: what is dropped at once when it is full.
pub(super) const SEGMENT_SIZE_BYTES_MAX: u64 = 4 << 20;
pub(super) const SEGMENT_SIZE_BYTES_MIN: u64 = 64 << 10;
/// Segments that a full spool has, about.
pub(super) const SEGMENTS_WANTED: u64 = 16;

/// Bytes of a batch's message before it is cut into two: well below what the service takes.
pub(super) const MESSAGE_SIZE_BYTES_MAX: usize = 12 << 20;
/// Times a window is halved: it has at most 2^18 series.
pub(super) const HALVINGS_MAX: u32 = 18;

/// Batches sent and not acknowledged: enough to keep a line with 100 ms of delay busy, and what the
/// service takes of one client.
pub(super) const IN_FLIGHT_MAX: usize = 6;
/// Definitions that are remembered as sent on a stream, 8 bytes each; past it all are sent again.
pub(super) const KNOWN_MAX: usize = 1 << 20;

/// Longest wait for a connection, and for the service's first word.
pub(super) const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for an acknowledgement before the stream is given up. The service syncs its disk
/// before it acknowledges.
pub(super) const ACK_PATIENCE: Duration = Duration::from_secs(60);
/// Time between two signs of life on an idle connection.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Longest wait that the service may ask for at once.
pub(super) const SLOW_DOWN_MAX: Duration = Duration::from_secs(120);

/// First pause before connecting again.
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause while the service is tried again and again.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(15);
/// Failures in a row after which it is only tried now and then.
pub(super) const FAILURES_UNTIL_OPEN: u32 = 8;
/// Pause between those tries.
pub(super) const PAUSE_OPEN: Duration = Duration::from_secs(30);
/// Times that the service may refuse a batch as malformed before it is given up.
pub(super) const REFUSALS_MAX: u32 = 3;
