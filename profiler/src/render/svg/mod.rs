//! Flame graphs and differential flame graphs as interactive SVG, drawn by `inferno`.
//!
//! On top of what `inferno` draws: frames coloured by kind, a legend, and the quality of the data
//! in the subtitle, so that a picture says by itself how far it can be trusted.

mod color;
mod draw;
mod legend;
mod subtitle;

use std::io;

use super::{
    collapsed,
    label::{Labels, comm_text},
    units::{fitting_unit, percent, shown_value_type, total},
};
use crate::model::{FrameKind, Profile, Sample};

pub(super) use self::{
    color::BACKGROUND_OF_CHANGES,
    draw::{Picture, lines, power_of_two, shift_for, width_percent_min, widths},
    legend::CHANGES,
};
use self::{
    color::{BACKGROUND, palette},
    subtitle::subtitle,
};

/// Values below this many of their unit are shown in the next smaller one, so that rounding to
/// whole numbers hides less than a hundredth of a percent.
pub(super) const WHOLE_UNITS_MIN: f64 = 10_000.0;

/// Why a picture could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum SvgError {
    /// The drawing library gave up.
    #[error("cannot draw the flame graph")]
    Draw(#[source] io::Error),
    /// The drawing library's picture is not built the way the legend needs.
    #[error("the drawing library's picture has no height to enlarge for the legend")]
    Legend,
}

/// Draws a flame graph of the first value type.
pub(super) fn write(profile: &Profile) -> Result<Vec<u8>, SvgError> {
    let stacks = collapsed::stacks(profile);
    let total = total(profile);
    let value_type = shown_value_type(profile);
    let unit = fitting_unit(total, &value_type, WHOLE_UNITS_MIN);
    let shift = shift_for(stacks.values().copied());
    let labels = Labels::new(profile);
    let drawn = lines(&stacks, |value| (value >> shift).to_string());
    let drawn_widths = widths(&stacks, |value| value >> shift);
    Picture {
        title: title(profile),
        subtitle: subtitle(profile),
        count_name: unit.map_or(value_type.kind, |unit| unit.name.to_owned()),
        factor: power_of_two(shift) / unit.map_or(1.0, |unit| unit.size),
        background: BACKGROUND,
        palette: Some(palette(profile, &labels)),
        legend: &legend::KINDS,
        lines: drawn,
        width_percent_min: width_percent_min(drawn_widths, total >> shift),
    }
    .draw()
}

/// What was watched, where. A profile of one thread name alone names it.
fn title(profile: &Profile) -> String {
    let signal = profile.signal.as_str().to_uppercase();
    let mut title = format!("{signal} flame graph");
    let mut comms = profile.tasks.iter().map(|task| comm_text(Some(task)));
    if let Some(first) = comms.next()
        && comms.all(|comm| comm == first)
    {
        title = format!("{title} of {first}");
    }
    if !profile.host.is_empty() {
        title = format!("{title} on {}", super::label::clean(&profile.host));
    }
    title
}

/// Share of the first value in stacks that were cut, by the marks in the stacks. For profiles
/// whose format does not carry quality.
fn cut_percent(profile: &Profile) -> f64 {
    let is_cut = |sample: &&Sample| {
        let stack = profile.stack(sample.stack);
        let frames = stack.map_or(&[] as &[_], |stack| stack.frames.as_slice());
        let mut kinds = frames.iter().filter_map(|index| profile.frame(*index));
        kinds.any(|frame| frame.kind == FrameKind::Truncated)
    };
    let values = profile.samples.iter().filter(is_cut);
    let cut = values
        .filter_map(|sample| sample.values.first())
        .fold(0, |sum: u64, value| sum.saturating_add(*value));
    percent(cut, total(profile))
}
