//! The call into the drawing library, bounded.

use std::collections::BTreeMap;

use inferno::flamegraph::{
    self, Direction, Options, TextTruncateDirection,
    color::{BackgroundColor, Color, PaletteMap},
};

use super::{
    SvgError,
    legend::{self, Entry},
};
use crate::render::{
    limits::{PICTURE_TOTAL_MAX, PICTURE_WIDTH_PIXELS, RECTANGLE_WIDTH_PIXELS_MIN, RECTANGLES_MAX},
    units::to_f64,
};

/// Narrower rectangles cannot be seen; percent of the whole.
const INVISIBLE_PERCENT: f64 = 100.0 * RECTANGLE_WIDTH_PIXELS_MIN / PICTURE_WIDTH_PIXELS;

/// All that a picture is made of.
pub(in crate::render) struct Picture<'a> {
    /// First line.
    pub(in crate::render) title: String,
    /// Second line.
    pub(in crate::render) subtitle: String,
    /// What stands behind the numbers.
    pub(in crate::render) count_name: String,
    /// What numbers are multiplied with before they are shown.
    pub(in crate::render) factor: f64,
    /// Colour behind all.
    pub(in crate::render) background: Color,
    /// Colour by label; absent in differential pictures.
    pub(in crate::render) palette: Option<PaletteMap>,
    /// What the colours mean.
    pub(in crate::render) legend: &'a [Entry],
    /// Collapsed stacks, with one number or two.
    pub(in crate::render) lines: Vec<String>,
    /// Narrower rectangles are left out; percent of the whole.
    pub(in crate::render) width_percent_min: f64,
}

impl Picture<'_> {
    /// Draws it.
    pub(in crate::render) fn draw(mut self) -> Result<Vec<u8>, SvgError> {
        if self.lines.is_empty() {
            return Ok(self.draw_nothing().into_bytes());
        }
        self.subtitle.push_str(&left_out(self.width_percent_min));
        let mut options = Options::default();
        options.title = self.title;
        options.subtitle = Some(self.subtitle);
        options.count_name = self.count_name;
        options.factor = self.factor;
        options.palette_map = self.palette.as_mut();
        options.bgcolors = Some(BackgroundColor::Flat(self.background));
        options.min_width = self.width_percent_min;
        options.text_truncate_direction = TextTruncateDirection::Right;
        options.deterministic = true;
        // Roots on top: one deep stack makes the picture taller than the window, and what opens
        // then must not be empty.
        options.direction = Direction::Inverted;
        let mut picture = Vec::new();
        let lines = self.lines.iter().map(String::as_str);
        flamegraph::from_lines(&mut options, lines, &mut picture).map_err(SvgError::Draw)?;
        let picture = String::from_utf8(picture).map_err(|_not_text| SvgError::Legend)?;
        legend::append(&picture, self.legend, self.background).map(String::into_bytes)
    }

    /// A picture that says there is nothing to draw.
    fn draw_nothing(&self) -> String {
        let (title, subtitle) = (escape(&self.title), escape(&self.subtitle));
        let text = |y: u32, size: u32, text: &str| {
            format!(r#"<text x="600" y="{y}" font-size="{size}">{text}</text>"#)
        };
        format!(
            r##"<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1200 120" font-family="monospace" text-anchor="middle"><rect width="1200" height="120" fill="#f8f8f8"/>{}{}{}</svg>
"##,
            text(24, 17, &title),
            text(48, 12, &subtitle),
            text(84, 12, "no samples"),
        )
    }
}

/// Text as XML holds it.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// One line for every stack that weighs something, with the numbers as `numbers` writes them.
pub(in crate::render) fn lines<V: Copy + Default + PartialEq>(
    stacks: &BTreeMap<String, V>,
    numbers: impl Fn(V) -> String,
) -> Vec<String> {
    let heavy = stacks.iter().filter(|(_, value)| **value != V::default());
    heavy
        .map(|(stack, value)| format!("{} {}", no_number_at_end(stack), numbers(*value)))
        .collect()
}

/// The drawing library takes a number before the last for a second count; a name that ends in one
/// gets an underscore there instead of the space.
pub(super) fn no_number_at_end(stack: &str) -> String {
    match stack.rsplit_once(' ') {
        Some((before, end)) if is_number(end) => format!("{before}_{end}"),
        _ => stack.to_owned(),
    }
}

/// Whether the drawing library takes this for a count.
fn is_number(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Width of every rectangle that the stacks make, in no order.
pub(in crate::render) fn widths<V: Copy>(
    stacks: &BTreeMap<String, V>,
    width: impl Fn(V) -> u64,
) -> Vec<u64> {
    let mut finished = Vec::new();
    // Rectangles that the next stack may still widen, from the outermost on.
    let mut open: Vec<(&str, u64)> = Vec::new();
    for (stack, value) in stacks {
        let shared = open
            .iter()
            .zip(stack.split(';'))
            .take_while(|((name, _), other)| name == other)
            .count();
        finished.extend(open.drain(shared..).map(|(_, width)| width));
        open.extend(stack.split(';').skip(shared).map(|name| (name, 0)));
        for (_, sum) in &mut open {
            *sum = sum.saturating_add(width(*value));
        }
    }
    finished.extend(open.into_iter().map(|(_, width)| width));
    finished
}

/// The width below which rectangles are left out, in percent of `total`: too narrow to see, or
/// too many.
pub(in crate::render) fn width_percent_min(mut widths: Vec<u64>, total: u64) -> f64 {
    widths.sort_unstable_by(|a, b| b.cmp(a));
    match widths.get(RECTANGLES_MAX) {
        // Just above the first one that is too many.
        Some(width) if total > 0 => {
            INVISIBLE_PERCENT.max(100.0 * (to_f64(*width) + 0.5) / to_f64(total))
        }
        _ => INVISIBLE_PERCENT,
    }
}

/// Says that visible rectangles are missing, where they are.
fn left_out(width_percent_min: f64) -> String {
    if width_percent_min > INVISIBLE_PERCENT {
        format!(" · frames below {width_percent_min:.3}% not drawn")
    } else {
        String::new()
    }
}

/// How far values must be shifted right so that their total can be drawn: less than 64, since
/// there are fewer than 2^32 values.
pub(in crate::render) fn shift_for(values: impl IntoIterator<Item = u64>) -> u32 {
    let total: u128 = values.into_iter().map(u128::from).sum();
    let mut shift = 0;
    while total >> shift > u128::from(PICTURE_TOTAL_MAX) {
        shift += 1;
    }
    shift
}

/// 2 to the power of a shift.
pub(in crate::render) fn power_of_two(shift: u32) -> f64 {
    to_f64(1_u64 << shift.min(63))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{escape, left_out, no_number_at_end, shift_for, width_percent_min, widths};
    use crate::render::limits::{PICTURE_TOTAL_MAX, RECTANGLES_MAX};

    #[test]
    fn widths_are_those_of_the_rectangles() {
        let stacks: BTreeMap<String, u64> = [("a;b", 1), ("a;b;c", 2), ("a;d", 4), ("e", 8)]
            .map(|(stack, value)| (stack.to_owned(), value))
            .into();
        let mut found = widths(&stacks, |value| value);
        found.sort_unstable();
        assert_eq!(vec![2, 3, 4, 7, 8], found);
    }

    #[test]
    fn too_many_rectangles_raise_the_least_width() {
        let few = width_percent_min(vec![1; RECTANGLES_MAX], 1_000);
        let many = width_percent_min(vec![1; RECTANGLES_MAX + 1], 1_000);
        assert!(few < 0.1 && many > 0.1, "{few} {many}");
        assert_eq!("", left_out(few));
        assert!(left_out(many).contains("not drawn"));
    }

    #[test]
    fn huge_totals_are_scaled_down() {
        assert_eq!(0, shift_for([PICTURE_TOTAL_MAX]));
        assert_eq!(1, shift_for([PICTURE_TOTAL_MAX, 2]));
        assert!(u64::MAX >> shift_for([u64::MAX]) <= PICTURE_TOTAL_MAX);
        // Sums past the largest number count, too.
        assert_eq!(15, shift_for([u64::MAX; 2]));
    }

    #[test]
    fn a_number_at_the_end_of_a_name_is_no_count() {
        assert_eq!("worker_12", no_number_at_end("worker 12"));
        assert_eq!("operator new[]", no_number_at_end("operator new[]"));
        assert_eq!("f<[u8: 16]>", no_number_at_end("f<[u8: 16]>"));
        assert_eq!("a &amp;&lt;b&gt;", escape("a &<b>"));
    }
}
