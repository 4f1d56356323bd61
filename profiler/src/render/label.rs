//! What the levels of a stack are called in text formats, and back.
//!
//! One machine frame becomes several labels when functions were inlined into it. The marks behind
//! the names are those of the flame graph tools: `_[k]` kernel, `_[i]` inlined, `_[j]` JIT or
//! interpreted. A frame without a name is `[file+0xoffset]`, or `[0xaddress]` without a file.

use crate::model::{
    Frame, FrameIndex, FrameKind, Location, Naming, ObjectFile, ObjectIndex, Profile,
    ProfileBuilder, Reason, Task,
};

/// Label of an empty name.
const UNKNOWN: &str = "[unknown]";
/// Label of a cut stack, without the closing bracket.
const TRUNCATED: &str = "[truncated";
/// Files that are no files, which the model writes in brackets.
const PSEUDO_FILES: [&str; 3] = ["vdso", "kernel", "jit"];

/// What a label stands for; decides its mark and its colour.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum LabelKind {
    /// A function in kernel code, inlined or not.
    Kernel,
    /// A function in an object file.
    Native,
    /// A function inlined into one in an object file.
    Inlined,
    /// A function made at run time, or interpreted.
    Jit,
    /// The mark of a cut stack.
    Truncated,
}

impl LabelKind {
    /// What stands behind the name.
    fn mark(self) -> &'static str {
        match self {
            Self::Kernel => "_[k]",
            Self::Inlined => "_[i]",
            Self::Jit => "_[j]",
            Self::Native | Self::Truncated => "",
        }
    }
}

/// One level of a stack as text formats show it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Label {
    /// Name with its mark: no semicolon, no control character, never empty.
    pub(super) text: String,
    /// What it stands for.
    pub(super) kind: LabelKind,
    /// Source file and line, where known.
    pub(super) source: Option<(String, Option<u32>)>,
}

/// The labels of every frame of a profile, made once.
pub(super) struct Labels {
    /// By frame index; innermost function first.
    by_frame: Vec<Vec<Label>>,
}

impl Labels {
    /// Makes the labels of every frame.
    pub(super) fn new(profile: &Profile) -> Self {
        let frames = profile.frames.iter();
        Self {
            by_frame: frames.map(|frame| labels_of(profile, frame)).collect(),
        }
    }

    /// The labels of one frame, innermost function first.
    pub(super) fn of(&self, frame: FrameIndex) -> &[Label] {
        let place = usize::try_from(frame.0).ok();
        place
            .and_then(|place| self.by_frame.get(place))
            .map_or(&[], Vec::as_slice)
    }

    /// All labels of all frames.
    pub(super) fn all(&self) -> impl Iterator<Item = &Label> {
        self.by_frame.iter().flatten()
    }

    /// The labels of a stack, outermost first.
    pub(super) fn root_first<'a>(
        &'a self,
        frames: &'a [FrameIndex],
    ) -> impl Iterator<Item = &'a Label> {
        frames
            .iter()
            .rev()
            .flat_map(|frame| self.of(*frame).iter().rev())
    }
}

/// The labels of one frame, innermost function first.
fn labels_of(profile: &Profile, frame: &Frame) -> Vec<Label> {
    if frame.kind == FrameKind::Truncated {
        return vec![label(LabelKind::Truncated, &truncated_text(frame), None)];
    }
    match &frame.naming {
        Naming::Unnamed(_) => {
            let kind = kind_of(frame.kind, false);
            vec![label(kind, &place_text(profile, frame), None)]
        }
        Naming::Named(locations) => {
            let outermost = locations.len().saturating_sub(1);
            let of_location = |(place, location): (usize, &Location)| {
                let kind = kind_of(frame.kind, place < outermost);
                label(kind, &location.function, Some(location))
            };
            locations.iter().enumerate().map(of_location).collect()
        }
    }
}

/// The kind of a label; only native code distinguishes inlined functions.
fn kind_of(kind: FrameKind, inlined: bool) -> LabelKind {
    match kind {
        FrameKind::Kernel => LabelKind::Kernel,
        FrameKind::Jit => LabelKind::Jit,
        FrameKind::Truncated => LabelKind::Truncated,
        FrameKind::Native if inlined => LabelKind::Inlined,
        FrameKind::Native | FrameKind::Table => LabelKind::Native,
    }
}

/// Puts one label together.
fn label(kind: LabelKind, name: &str, location: Option<&Location>) -> Label {
    let source = location.and_then(|location| Some((location.file.clone()?, location.line)));
    Label {
        text: clean(name) + kind.mark(),
        kind,
        source,
    }
}

/// `[truncated]`, or `[truncated: why]` when the frame says why.
fn truncated_text(frame: &Frame) -> String {
    match &frame.naming {
        Naming::Named(locations) => match locations.first() {
            Some(why) if why.function.starts_with(TRUNCATED) => why.function.clone(),
            Some(why) => format!("{TRUNCATED}: {}]", why.function),
            None => format!("{TRUNCATED}]"),
        },
        Naming::Unnamed(_) => format!("{TRUNCATED}]"),
    }
}

/// Where a frame without a name is.
fn place_text(profile: &Profile, frame: &Frame) -> String {
    match frame.object.and_then(|object| profile.object(object)) {
        Some(object) => {
            let name = object
                .file_name()
                .trim_start_matches('[')
                .trim_end_matches(']');
            format!("[{name}+{:#x}]", frame.address)
        }
        None => format!("[{:#x}]", frame.address),
    }
}

/// A task's name as a label.
pub(super) fn comm_text(task: Option<&Task>) -> String {
    clean(task.map_or("", |task| task.comm.as_str()))
}

/// The comm that a label came from.
pub(super) fn comm_of(text: &str) -> String {
    if text == UNKNOWN {
        String::new()
    } else {
        text.to_owned()
    }
}

/// Takes out what would break a line or a picture: a semicolon becomes a colon (as `perf`'s
/// converters do), a control character a space; an empty name becomes `[unknown]`.
pub(crate) fn clean(name: &str) -> String {
    let one = |c: char| match c {
        ';' => ':',
        // The last two are no characters in XML.
        '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c if c.is_control() => ' ',
        c => c,
    };
    let cleaned: String = name.chars().map(one).collect();
    match cleaned.trim() {
        "" => UNKNOWN.to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

/// One level as a text format gave it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ForeignLabel<'a> {
    /// Name with its mark.
    pub(super) text: &'a str,
    /// Source file; absent when the format gave none.
    pub(super) file: Option<&'a str>,
    /// Line in `file`.
    pub(super) line: Option<u32>,
}

/// Turns labels, outermost first, back into frames, innermost first.
///
/// An inlined function joins the frame of the native function before it.
pub(super) fn frames_of(
    builder: &mut ProfileBuilder,
    root_first: &[ForeignLabel<'_>],
) -> Vec<FrameIndex> {
    let mut frames = Vec::new();
    // The frame being put together: its kind and its functions, outermost first.
    let mut open: Option<(FrameKind, Vec<Location>)> = None;
    for &foreign in root_first {
        if let (Some(name), Some((FrameKind::Native, functions))) =
            (foreign.text.strip_suffix("_[i]"), open.as_mut())
        {
            functions.push(location(name, foreign));
            continue;
        }
        frames.extend(close(builder, open.take()));
        if let Some((kind, object, address)) = parse_place(foreign.text) {
            let object = object.map(|object| builder.object(object));
            frames.push(unnamed(builder, kind, object, address));
        } else {
            let (kind, name) = parse_name(foreign.text);
            if kind == FrameKind::Truncated && name.is_empty() {
                frames.push(unnamed(builder, kind, None, 0));
            } else {
                open = Some((kind, vec![location(name, foreign)]));
            }
        }
    }
    frames.extend(close(builder, open));
    frames.reverse();
    frames
}

/// Finishes the frame being put together.
fn close(
    builder: &mut ProfileBuilder,
    open: Option<(FrameKind, Vec<Location>)>,
) -> Option<FrameIndex> {
    let (kind, mut functions) = open?;
    functions.reverse();
    Some(builder.frame(kind, None, 0, Naming::Named(functions)))
}

/// Interns a frame without a name.
fn unnamed(
    builder: &mut ProfileBuilder,
    kind: FrameKind,
    object: Option<ObjectIndex>,
    address: u64,
) -> FrameIndex {
    builder.frame(kind, object, address, Naming::Unnamed(Reason::NotRecorded))
}

/// A function with what the format said of its place.
fn location(name: &str, foreign: ForeignLabel<'_>) -> Location {
    Location {
        function: name.to_owned(),
        file: foreign.file.map(str::to_owned),
        line: foreign.line,
    }
}

/// Splits a label into kind and name. The name of a bare truncation mark is empty.
fn parse_name(text: &str) -> (FrameKind, &str) {
    if let Some(rest) = text.strip_prefix(TRUNCATED) {
        if rest == "]" {
            return (FrameKind::Truncated, "");
        }
        if let Some(why) = rest
            .strip_prefix(": ")
            .and_then(|why| why.strip_suffix(']'))
        {
            return (FrameKind::Truncated, why);
        }
    }
    if let Some(name) = text.strip_suffix("_[k]") {
        (FrameKind::Kernel, name)
    } else if let Some(name) = text.strip_suffix("_[j]") {
        (FrameKind::Jit, name)
    } else {
        (FrameKind::Native, text)
    }
}

/// Where a frame without a name is: its kind, file and address.
type Place = (FrameKind, Option<ObjectFile>, u64);

/// Reads `[file+0xoffset]` or `[0xaddress]`; `None` when the label is a name.
fn parse_place(text: &str) -> Option<Place> {
    let (kind, text) = parse_name(text);
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    let (file, number) = match inside.rsplit_once('+') {
        Some((file, number)) => (Some(file), number),
        None => (None, inside),
    };
    let address = u64::from_str_radix(number.strip_prefix("0x")?, 16).ok()?;
    Some((kind, file.map(object_named), address))
}

/// An object file known by its name only.
fn object_named(name: &str) -> ObjectFile {
    let path = if PSEUDO_FILES.contains(&name) {
        format!("[{name}]")
    } else {
        name.to_owned()
    };
    ObjectFile {
        path,
        build_id: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{ForeignLabel, Labels, clean, frames_of};
    use crate::model::ProfileBuilder;

    /// Reads labels, writes them again, and compares.
    #[track_caller]
    fn check_round_trip(root_first: &[&str]) {
        let mut builder = ProfileBuilder::default();
        let foreign: Vec<_> = root_first
            .iter()
            .map(|text| ForeignLabel {
                text,
                file: None,
                line: None,
            })
            .collect();
        let frames = frames_of(&mut builder, &foreign);
        let labels = Labels::new(&builder.finish());
        let back: Vec<_> = labels
            .root_first(&frames)
            .map(|label| label.text.as_str())
            .collect();
        assert_eq!(root_first, back);
    }

    #[test]
    fn labels_survive_the_round_trip() {
        check_round_trip(&["main", "a", "b_[i]", "c_[i]", "d", "e_[k]", "f_[k]"]);
        check_round_trip(&["[truncated]", "[libc.so.6+0x10]", "[vdso+0x1]", "x_[j]"]);
        check_round_trip(&["[truncated: depth]", "[0x7f00]", "[kernel+0x10]_[k]"]);
        check_round_trip(&["orphan_[i]", "k_[k]", "after_kernel_[i]"]);
    }

    #[test]
    fn names_cannot_break_a_line() {
        assert_eq!("[u8: 4]::f  x", clean(" [u8; 4]::f\n\tx\0"));
        assert_eq!("[unknown]", clean("\r\n"));
    }
}
