//! What the colours mean, as a line below the picture.

use std::fmt::Write as _;

use inferno::flamegraph::color::Color;

use super::{
    SvgError,
    color::{hue, rgb},
};
use crate::render::label::LabelKind;

/// Height of the line, in pixels.
const HEIGHT: u64 = 24;
/// Width of one letter of the legend's font, in pixels; as `inferno` reckons for 12 px.
const LETTER_WIDTH: usize = 7;
/// Room for a swatch and the gaps around it, in pixels.
const SWATCH_ROOM: usize = 34;

/// One swatch with its meaning.
pub(in crate::render) struct Entry {
    /// Colour of the swatch.
    pub(in crate::render) color: Color,
    /// What it means.
    pub(in crate::render) text: &'static str,
}

/// Legend of a flame graph.
pub(super) const KINDS: [Entry; 5] = [
    entry(LabelKind::Kernel, "kernel"),
    entry(LabelKind::Native, "native"),
    entry(LabelKind::Inlined, "inlined"),
    entry(LabelKind::Jit, "JIT or interpreted"),
    entry(LabelKind::Truncated, "stack cut here"),
];

/// Legend of a differential flame graph; the colours `inferno` gives the largest changes and none.
pub(in crate::render) const CHANGES: [Entry; 3] = [
    Entry {
        color: rgb(255, 100, 100),
        text: "more",
    },
    Entry {
        color: rgb(250, 250, 250),
        text: "no change",
    },
    Entry {
        color: rgb(100, 100, 255),
        text: "less",
    },
];

/// Builds the entry of a kind.
const fn entry(kind: LabelKind, text: &'static str) -> Entry {
    Entry {
        color: hue(kind),
        text,
    }
}

/// Enlarges a picture at the bottom and puts the legend there.
///
/// # Errors
/// [`SvgError::Legend`] when the picture does not begin and end as the library's do.
pub(super) fn append(
    picture: &str,
    entries: &[Entry],
    background: Color,
) -> Result<String, SvgError> {
    let (head, rest) = picture.split_once('>').ok_or(SvgError::Legend)?;
    let (doctype, rest) = rest.split_once("<svg ").ok_or(SvgError::Legend)?;
    let (tag, rest) = rest.split_once('>').ok_or(SvgError::Legend)?;
    let body = rest.strip_suffix("</svg>").ok_or(SvgError::Legend)?;
    let height = height_of(tag).ok_or(SvgError::Legend)?;
    let enlarged = height.saturating_add(HEIGHT);
    let tag = tag
        .replacen(
            &format!(r#"height="{height}""#),
            &format!(r#"height="{enlarged}""#),
            1,
        )
        .replacen(&format!(r#" {height}""#), &format!(r#" {enlarged}""#), 1);
    let legend = group(entries, height, background);
    Ok(format!("{head}>{doctype}<svg {tag}>{body}{legend}</svg>\n"))
}

/// The height in the outermost tag, in pixels.
fn height_of(tag: &str) -> Option<u64> {
    let (_, rest) = tag.split_once(r#"height=""#)?;
    rest.split('"').next()?.parse().ok()
}

/// The legend's own elements, from `top` on.
fn group(entries: &[Entry], top: u64, background: Color) -> String {
    let Color { r, g, b } = background;
    let mut group = format!(
        r#"<g id="legend"><rect x="0" y="{top}" width="100%" height="{HEIGHT}" fill="rgb({r},{g},{b})"/>"#
    );
    let swatch_y = top.saturating_add(6);
    let text_y = top.saturating_add(16);
    let mut x = 10;
    for Entry { color, text } in entries {
        let Color { r, g, b } = color;
        let text_x = x + 17;
        // Writing to a text cannot fail.
        let _infallible = write!(
            group,
            r#"<rect x="{x}" y="{swatch_y}" width="12" height="12" fill="rgb({r},{g},{b})" stroke="gray" stroke-width="0.5"/><text x="{text_x}" y="{text_y}">{text}</text>"#
        );
        x += SWATCH_ROOM + text.len() * LETTER_WIDTH;
    }
    group.push_str("</g>");
    group
}
