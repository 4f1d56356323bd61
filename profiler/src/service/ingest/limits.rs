//! Bounds of what waits, and for how long.

use std::time::Duration;

/// Time in which a new stream must say `Hello`. Guess.
pub(super) const HELLO_WAIT: Duration = Duration::from_secs(10);

/// Time in which a client must take an answer. Guess.
pub(super) const SEND_WAIT: Duration = Duration::from_secs(30);

/// Time for what was taken to become durable when a stream ends. Guess: ten slow commits.
pub(super) const FLUSH_WAIT: Duration = Duration::from_secs(10);

/// Time after which a store that is full is tried again.
pub(super) const FULL_WAIT: Duration = Duration::from_secs(1);

/// Time for which an upload waits for a store that is full. Uploads have somebody waiting.
pub(super) const UPLOAD_WAIT: Duration = Duration::from_secs(10);

/// Shortest wait that a client is told of; shorter ones are only waited for.
pub(super) const SLOW_DOWN_MIN: Duration = Duration::from_millis(50);

/// Longest wait that one batch may cost a client. Guess: so that a stream is never taken for dead.
pub(super) const SLOW_DOWN_MAX: Duration = Duration::from_secs(30);

/// How many seconds of its rate a client may use at once. A spool that is shipped comes in bursts.
pub(super) const BURST_SECONDS: u32 = 10;

/// Answers that wait for one client to take them. Guess.
pub(super) const ANSWERS_WAITING_MAX: usize = 16;

/// Definitions that are asked for at once; more are asked for later.
pub(super) const MISSING_MAX: usize = 64 << 10;

/// Longest text of a version.
pub(super) const VERSION_SIZE_BYTES_MAX: usize = 128;

/// Bytes of a sender's id.
pub(super) const SENDER_ID_SIZE_BYTES: usize = 16;

/// At most one line in the log for refusals of one kind in this time.
pub(super) const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Largest upload as it comes. Guess: a hundred times the usual.
pub(super) const UPLOAD_SIZE_BYTES_MAX: usize = 16 << 20;

/// Largest upload, unpacked. What OTLP recommends.
pub(super) const UNPACKED_SIZE_BYTES_MAX: usize = 64 << 20;

/// Uploads that are read at once; the others wait. Their decoded form is some ten times larger.
pub(super) const UPLOADS_AT_ONCE_MAX: usize = 4;

/// Unit in which memory is handed out.
pub(super) const MEMORY_UNIT_BYTES: usize = 1 << 10;

/// How much larger a batch is in memory than on the wire. Measured on first batches, where all is
/// new: 5; later ones hold less.
pub(super) const MEMORY_FACTOR: usize = 6;
