//! Bounds of the governor, each with its reason.

use std::time::Duration;

/// Time between two decisions. Shorter, and one burst decides; longer, and a load that costs ten
/// times the budget has it for longer.
pub const TICK: Duration = Duration::from_secs(1);
/// Part of a tick in which the kernel counts the run time of programs. The counting itself costs
/// each run about 100 ns (measured), which is more than the shortest programs take.
pub const STATISTICS_WINDOW: Duration = Duration::from_millis(50);
/// Shortest time that says what a family costs.
pub const STATISTICS_MIN: Duration = Duration::from_millis(5);

/// Share of the budget that a cut aims at: the next tick may cost a little more than this one.
pub(super) const CUT_TARGET: f64 = 0.8;
/// Share of the budget below which recovery must stay, by the highest cost of late. A step of
/// recovery doubles the cost of a family, so after a cut to between 0.4 and 0.8 of the budget
/// nothing moves under a steady load.
pub(super) const RECOVERY_TARGET: f64 = 0.7;
/// Most of the budget that cost which no cut can lower (names, tables, shipping) takes from probes.
pub(super) const OWN_SHARE_MAX: f64 = 0.5;
/// A cut that saves less than this share of the excess is not made: it helps nobody.
pub(super) const WORTH_CUTTING: f64 = 0.02;
/// The same for a family that goes off: a signal is worth more than a little.
pub(super) const WORTH_STOPPING: f64 = 0.2;

/// Weight of the newest tick in the smoothed cost: a burst of one tick changes little, one of three
/// ticks is believed.
pub(super) const SMOOTHING: f64 = 0.5;
/// Cost so far above the budget is cut at once, without smoothing.
pub(super) const EMERGENCY: f64 = 2.0;
/// What is left of a peak after a tick: half of it after ten.
pub(super) const PEAK_KEPT: f64 = 0.933;
/// What is left after a tick of the estimate of a family that is off, which cannot be measured:
/// half of it after a minute.
pub(super) const STALE_KEPT: f64 = 0.988;
/// Weight of the newest tick in the cost that comes in bursts: names of a window every ten seconds.
pub(super) const OWN_SMOOTHING: f64 = 1.0 / 60.0;

/// Calm before the first step of recovery.
pub(super) const HOLD_MIN: Duration = Duration::from_secs(5);
/// Longest calm that is asked for, after recovery was followed by a cut again and again.
pub(super) const HOLD_MAX: Duration = Duration::from_secs(320);
/// Calm before a family that was switched off is tried again: a look at it costs an attachment.
pub(super) const HOLD_OFF: Duration = Duration::from_secs(30);
/// Time above the budget, whatever else was cut, before a family is switched off: one tick on a host
/// that is out of breath may show ten times the cost.
pub(super) const STOP_PATIENCE: Duration = Duration::from_secs(4);
/// A cut so soon after a step of recovery makes the next one wait twice as long.
pub(super) const RELAPSE: Duration = Duration::from_secs(30);

/// Share of its records that a family may lose to a full ring before its rate is cut: what is lost
/// was paid for.
pub(super) const LOST_SHARE_MAX: f64 = 0.05;
/// Fewer records than this in a tick tell nothing of a share.
pub(super) const LOST_RECORDS_MIN: u64 = 100;

/// Length of a slice and of the pause after it, together, when both are long enough.
pub(super) const CYCLE: Duration = Duration::from_millis(500);
/// Shortest slice: attaching and detaching take about a millisecond each.
pub(super) const SLICE_MIN: Duration = Duration::from_millis(10);
/// Changes that a ledger remembers: minutes of slices. Samples are drained within a second.
pub(super) const LEDGER_ENTRIES_MAX: usize = 1_024;

/// Share of the memory budget below which what was given up is taken back.
pub(super) const MEMORY_RECOVERY: f64 = 0.7;
/// Ticks of too much memory before the next thing is given up: freed memory shows late.
pub(super) const MEMORY_PATIENCE_TICKS: u32 = 5;
/// Ticks of calm before something is taken back.
pub(super) const MEMORY_CALM_TICKS: u32 = 60;

const _: () = assert!(RECOVERY_TARGET < CUT_TARGET && CUT_TARGET < 1.0);
const _: () = assert!(HOLD_MIN.as_secs() < HOLD_MAX.as_secs());
