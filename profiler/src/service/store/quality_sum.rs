//! Quality of many windows together, kept in integers so that order never changes the answer.

use std::time::Duration;

use crate::model::{HostWindow, Loss, Quality, Truncation};

/// Causes of loss, by their number on disk and in the order of their columns.
pub(super) const LOSSES: [Loss; 6] = [
    Loss::RingFull,
    Loss::ScratchBusy,
    Loss::Undecodable,
    Loss::TableFull,
    Loss::NamingBehind,
    Loss::Other,
];

/// Reasons of truncation, by their number on disk and in the order of their columns.
pub(super) const TRUNCATIONS: [Truncation; 10] = [
    Truncation::Depth,
    Truncation::Unmapped,
    Truncation::UnknownProcess,
    Truncation::TableNotReady,
    Truncation::NoUnwindInfo,
    Truncation::UnsupportedRule,
    Truncation::UnreadableStack,
    Truncation::NotAscending,
    Truncation::NoRegisters,
    Truncation::Other,
];

/// Number of sums.
pub(super) const FIELDS: usize = 11 + LOSSES.len() + TRUNCATIONS.len();

/// Names of the sums on disk, in order. Rates and duty cycles are weighted by milliseconds.
pub(super) const NAMES: [&str; FIELDS] = [
    "samples",
    "idle",
    "complete",
    "fallback",
    "frames",
    "frames_unnamed",
    "duration_ms",
    "rate_asked_uhz_ms",
    "rate_effective_uhz_ms",
    "duty_ppm_ms",
    "windows_lost",
    "lost_ring_full",
    "lost_scratch_busy",
    "lost_undecodable",
    "lost_table_full",
    "lost_naming_behind",
    "lost_other",
    "truncated_depth",
    "truncated_unmapped",
    "truncated_unknown_process",
    "truncated_table_not_ready",
    "truncated_no_unwind_info",
    "truncated_unsupported_rule",
    "truncated_unreadable_stack",
    "truncated_not_ascending",
    "truncated_no_registers",
    "truncated_other",
];

/// Parts of a rate or share that are told apart.
const PARTS: f64 = 1e6;

/// Sums over windows, in the order of [`NAMES`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct QualitySum(pub(super) [u64; FIELDS]);

impl QualitySum {
    /// The sums of one window.
    pub(super) fn of(window: &HostWindow) -> Self {
        let quality = &window.quality;
        let duration_ms = duration_ms(window.span.duration);
        let weighted = |value: f64| micro(value).saturating_mul(duration_ms);
        let head = [
            quality.samples,
            quality.idle,
            quality.complete,
            quality.fallback,
            quality.frames,
            quality.frames_unnamed,
            duration_ms,
            weighted(quality.rate_asked_hz),
            weighted(quality.rate_effective_hz),
            weighted(quality.duty_cycle),
            quality.windows_lost,
        ];
        let lost = (LOSSES.iter()).map(|loss| quality.lost.get(loss).copied().unwrap_or_default());
        let truncated = (TRUNCATIONS.iter())
            .map(|reason| quality.truncated.get(reason).copied().unwrap_or_default());
        let mut sums = Self::default();
        for (sum, value) in (sums.0.iter_mut()).zip(head.into_iter().chain(lost).chain(truncated)) {
            *sum = value;
        }
        sums
    }

    /// Adds the sums of other windows.
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, value) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(value);
        }
    }

    /// The quality of all windows: counts are summed, rates and the duty cycle are means over time.
    pub(super) fn quality(&self) -> Quality {
        let [
            samples,
            idle,
            complete,
            fallback,
            frames,
            frames_unnamed,
            duration_ms,
            asked,
            effective,
            duty,
            windows_lost,
            causes @ ..,
        ] = self.0;
        let (lost, truncated) = causes.split_at(LOSSES.len());
        Quality {
            samples,
            idle,
            lost: present(&LOSSES, lost),
            complete,
            truncated: present(&TRUNCATIONS, truncated),
            fallback,
            frames,
            frames_unnamed,
            rate_asked_hz: mean(asked, duration_ms),
            rate_effective_hz: mean(effective, duration_ms),
            duty_cycle: mean(duty, duration_ms),
            windows_lost,
            overhead: 0.0,
        }
    }
}

/// Counts that are not zero, by cause.
fn present<Cause: Copy + Ord>(
    causes: &[Cause],
    counts: &[u64],
) -> std::collections::BTreeMap<Cause, u64> {
    (causes.iter().copied().zip(counts.iter().copied()))
        .filter(|(_cause, count)| 0 < *count)
        .collect()
}

/// Length of a window in milliseconds; one for a window without length, so that it has weight.
fn duration_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

/// Millionths of a rate or share. What is negative or not a number counts as zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and takes what is not a number for zero"
)]
fn micro(value: f64) -> u64 {
    (value * PARTS).round() as u64
}

/// The mean of millionths that were weighted by milliseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "a rate or share is told to six digits"
)]
fn mean(weighted: u64, duration_ms: u64) -> f64 {
    match weighted.checked_div(duration_ms) {
        Some(micro) => micro as f64 / PARTS,
        None => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::QualitySum;
    use crate::model::{HostWindow, Loss, Quality, Truncation, Window};

    fn window(seconds: u64, rate: f64) -> HostWindow {
        HostWindow {
            span: Window {
                start: Duration::ZERO,
                duration: Duration::from_secs(seconds),
            },
            quality: Quality {
                samples: 5,
                idle: 6,
                lost: [(Loss::TableFull, 7)].into(),
                complete: 4,
                truncated: [(Truncation::NoRegisters, 1)].into(),
                fallback: 2,
                frames: 9,
                frames_unnamed: 3,
                rate_asked_hz: 99.0,
                rate_effective_hz: rate,
                duty_cycle: 0.25,
                windows_lost: 1,
                overhead: 0.0,
            },
            ..HostWindow::default()
        }
    }

    #[test]
    fn one_window_keeps_its_quality() {
        let window = window(10, 98.765432);
        assert_eq!(window.quality, QualitySum::of(&window).quality());
    }

    #[test]
    fn counts_are_summed_and_rates_weighted_by_time() {
        let mut sum = QualitySum::of(&window(10, 100.0));
        sum.add(&QualitySum::of(&window(30, 60.0)));
        let quality = sum.quality();
        assert_eq!((10, 14), (quality.samples, quality.lost_total()));
        assert!((70.0 - quality.rate_effective_hz).abs() < 1e-6);
    }
}
