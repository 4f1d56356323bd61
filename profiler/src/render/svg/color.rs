//! Colours: the kind of a frame gives the hue, its name the shade.

use std::collections::HashMap;

use inferno::flamegraph::color::{Color, PaletteMap};
use xxhash_rust::xxh3::xxh3_64;

use super::draw::no_number_at_end;
use crate::{
    model::Profile,
    render::label::{LabelKind, Labels, comm_text},
};

/// Colour of the threads, the outermost level, and of the frame below all.
const THREAD: Color = rgb(216, 218, 226);
/// Behind a flame graph.
pub(super) const BACKGROUND: Color = rgb(248, 248, 248);
/// Behind a differential flame graph, whose unchanged frames are nearly white.
pub(in crate::render) const BACKGROUND_OF_CHANGES: Color = rgb(226, 228, 232);
/// How far a shade may lie below its hue, in each channel.
const SHADE_MAX: u64 = 28;

/// Builds one colour.
pub(super) const fn rgb(r: u8, g: u8, b: u8) -> Color {
    Color { r, g, b }
}

/// The colour of a kind at its brightest. Chosen to differ in lightness too, for those who do not
/// see red and green apart.
pub(super) const fn hue(kind: LabelKind) -> Color {
    match kind {
        LabelKind::Kernel => rgb(240, 128, 84),
        LabelKind::Native => rgb(255, 212, 110),
        LabelKind::Inlined => rgb(134, 208, 226),
        LabelKind::Jit => rgb(152, 216, 136),
        LabelKind::Truncated => rgb(150, 150, 158),
    }
}

/// A colour for every label and every thread name of the profile.
pub(super) fn palette(profile: &Profile, labels: &Labels) -> PaletteMap {
    let mut colors: HashMap<String, Color> = HashMap::new();
    // The empty name is the frame below all threads.
    colors.insert(String::new(), THREAD);
    for task in &profile.tasks {
        let comm = comm_text(Some(task));
        // A stack of no frames ends in the thread's name.
        colors.insert(no_number_at_end(&comm), THREAD);
        colors.insert(comm, THREAD);
    }
    // Functions come last: where one is called like a thread, its kind matters more.
    for label in labels.all() {
        let color = shade(hue(label.kind), &label.text);
        colors.insert(no_number_at_end(&label.text), color);
        colors.insert(label.text.clone(), color);
    }
    let mut palette = PaletteMap::default();
    for (text, color) in colors {
        palette.insert(text, color);
    }
    palette
}

/// The hue, darker by an amount that depends on the name only: the same function has the same
/// colour in every picture.
fn shade(hue: Color, name: &str) -> Color {
    let darker = u8::try_from(xxh3_64(name.as_bytes()) % SHADE_MAX).unwrap_or_default();
    rgb(
        hue.r.saturating_sub(darker),
        hue.g.saturating_sub(darker),
        hue.b.saturating_sub(darker),
    )
}
