//! Bounds on alerts and their deliveries.

use std::time::Duration;

/// Most events that are kept; the oldest go first. Guess: a year of a restless budget.
pub const EVENTS_MAX: u64 = 100_000;
/// Most events in one answer.
pub const EVENTS_ANSWER_MAX: usize = 10_000;
/// Events in an answer when the question does not say.
pub const EVENTS_ANSWER_DEFAULT: usize = 200;
/// Most silences at once.
pub const SILENCES_MAX: usize = 1_000;
/// Longest silence.
pub const SILENCE_MAX: Duration = Duration::from_secs(366 * 86_400);
/// Longest pattern or comment, in bytes.
pub const TEXT_SIZE_BYTES_MAX: usize = 1_024;
/// Times that a message is sent before it is given up.
pub const TRIES_MAX: u32 = 5;
/// Pause after the first time; each further one is twice as long.
pub const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest time that a receiver may take.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// Messages that wait for a receiver; the newest is given up when there are more.
pub const QUEUE_MAX: usize = 256;
/// Most bytes of a receiver's answer that are read.
pub const ANSWER_SIZE_BYTES_MAX: usize = 64 * 1024;
/// How often Alertmanager is told again that an alert still fires: it forgets otherwise.
pub const REPEAT_EVERY: Duration = Duration::from_secs(60);
/// How often a limit on regressions is looked at: it rests on minutes, and takes its time.
pub const COMPARE_EVERY: Duration = Duration::from_secs(60);
/// Longest time that one look at the budget may take.
pub const LOOK_TIME_MAX: Duration = Duration::from_secs(20);
