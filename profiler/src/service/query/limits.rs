//! Bounds on questions and answers.

use std::time::Duration;

/// Longest selector, in bytes. Guess: a hundred times a long one that a person types.
pub const SELECTOR_SIZE_BYTES_MAX: usize = 16 * 1024;
/// Most conditions in a selector. Guess: more labels than any series has.
pub const MATCHERS_MAX: usize = 64;
/// Most nodes of a tree in an answer. A screen shows a few thousand; the message has some 30 bytes
/// a node, and clients take 4 MiB unless they are told otherwise.
pub const NODES_MAX: usize = 100_000;
/// Nodes of a tree when the question does not say.
pub const NODES_DEFAULT: usize = 10_000;
/// Fewest nodes of a tree: the root, and one for all that is cut.
pub const NODES_MIN: usize = 2;
/// Most rows of a table.
pub const ROWS_MAX: usize = 10_000;
/// Rows of a table when the question does not say.
pub const ROWS_DEFAULT: usize = 100;
/// Most rows of a table in which each row has a stack: a hundred names each.
pub const STACK_ROWS_MAX: usize = 1_000;
/// Callers and callees of a function when the question does not say.
pub const NEIGHBOURS_DEFAULT: usize = 20;
/// Most values of a label in one answer.
pub const VALUES_MAX: usize = 100_000;
/// Values of a label when the question does not say.
pub const VALUES_DEFAULT: usize = 10_000;
/// Most lines of a trend: more can be read by nobody.
pub const LINES_MAX: usize = 1_000;
/// Most steps of a trend: what a screen has pixels for, several times.
pub const STEPS_MAX: u128 = 11_000;
/// Steps that a trend has when the question does not say, about.
pub const STEPS_DEFAULT: u128 = 120;
/// Most labels a trend can be grouped by.
pub const GROUP_LABELS_MAX: usize = 16;
/// Longest name of a label or function in a question, in bytes.
pub const NAME_SIZE_BYTES_MAX: usize = 16 * 1024;

/// Most rows of the store that one read may touch. Guess: two seconds of reading on one core.
pub const ROWS_READ_MAX: u64 = 100_000_000;
/// Most distinct stacks in one selection; each takes some 200 bytes while it is looked at.
pub const STACKS_MAX: usize = 1_000_000;
/// Selections that read more rows than this are not read again for each value of a label.
pub const SPLIT_ROWS_MAX: u64 = 20_000_000;
/// Values of a label that a selection is split by; what remains is one part more.
pub const SPLIT_PARTS_MAX: usize = 32;

/// Memory for answers of the store that are kept.
pub const CACHE_SIZE_BYTES_MAX: usize = 64 << 20;
/// How long an answer is kept.
pub const CACHE_AGE_MAX: Duration = Duration::from_secs(300);
/// Windows arrive so long after they ended at the latest, mostly; answers about a time nearer to now
/// would be old at once and are not kept. Later data makes answers old that are kept. Twice the usual delay: window, batch and a reconnect.
pub const LATE_DATA_MAX: Duration = Duration::from_secs(120);
/// Memory for stacks that were looked up and named, about; beyond, all of them are forgotten.
pub const NAMED_SIZE_BYTES_MAX: usize = 192 << 20;
/// How long names are kept: a better name shows after so long at the latest.
pub const NAMED_AGE_MAX: Duration = Duration::from_secs(600);

/// Answers being worked out at once, for each core.
pub const WORKERS_PER_CORE: usize = 2;
/// Questions waiting for a worker; the next one is refused.
pub const WAITING_MAX: usize = 256;
/// Longest time that a question may take, and takes when it does not say.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// Longest time that a question waits for a worker.
pub const WAIT_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of a file in one message.
pub const CHUNK_SIZE_BYTES: usize = 64 * 1024;
/// Messages that wait for a slow reader of a stream.
pub const STREAM_QUEUE_MAX: usize = 4;
/// Largest question, in bytes: a selector and some names.
pub const QUESTION_SIZE_BYTES_MAX: usize = 256 * 1024;
/// Watchers at once.
pub const WATCHERS_MAX: usize = 256;

/// Longest burst.
pub const BURST_TIME_MAX: Duration = Duration::from_secs(600);
/// Highest rate of a burst, samples a second and CPU: at 5 µs a sample, half a percent of a core.
pub const BURST_RATE_HZ_MAX: u32 = 1_000;
/// Most processes of a burst.
pub const BURST_PIDS_MAX: usize = 1_024;
