//! The line below the title: how the data was taken and how good it is.

use super::cut_percent;
use crate::{
    model::Profile,
    render::units::{quantity, share, shown_value_type, thousands, total},
};

/// Rate, samples, length, lost and truncated shares; what the input did not say is left out, a
/// truncated share is always there.
pub(super) fn subtitle(profile: &Profile) -> String {
    let quality = &profile.quality;
    let mut parts = Vec::new();
    if quality.rate_asked_hz > 0.0 {
        parts.push(rate(quality.rate_asked_hz, quality.rate_effective_hz));
    }
    let value_type = shown_value_type(profile);
    let shown = quantity(total(profile), &value_type);
    parts.push(if value_type.unit == "count" {
        format!("{shown} {}", value_type.kind)
    } else {
        format!("{shown} {}", profile.signal.as_str())
    });
    if !profile.window.duration.is_zero() {
        parts.push(format!("{:.1} s", profile.window.duration.as_secs_f64()));
    }
    if 0.0 < quality.duty_cycle && quality.duty_cycle < 1.0 {
        parts.push(format!("thinned to {:.0}%", quality.duty_cycle * 100.0));
    }
    let verdicts = quality.complete.saturating_add(quality.truncated_total());
    if verdicts > 0 {
        let taken = quality.samples.saturating_add(quality.lost_total());
        parts.push(counted(quality.lost_total(), taken, "lost"));
        parts.push(counted(quality.truncated_total(), verdicts, "truncated"));
    } else {
        parts.push(format!("truncated {:.1}%", cut_percent(profile)));
    }
    parts.join(" · ")
}

/// The rate asked for, and the one reached where it is more than a tenth off.
fn rate(asked_hz: f64, effective_hz: f64) -> String {
    let off = effective_hz > 0.0 && (effective_hz - asked_hz).abs() > asked_hz / 10.0;
    if off {
        format!("{asked_hz:.0} Hz asked, {effective_hz:.0} Hz taken")
    } else {
        format!("{asked_hz:.0} Hz")
    }
}

/// `lost 3 (0.1%)`
fn counted(part: u64, whole: u64, name: &str) -> String {
    format!("{name} {} ({})", thousands(part), share(part, whole))
}
