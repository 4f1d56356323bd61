//! A batch of the model as a message.

use std::collections::HashMap;

use super::{
    encode_quality,
    generated::{
        self as proto, Batch as Message, FrameKind as KindCode, UnnamedReason as ReasonCode,
    },
    limits::{LABELS_MAX, NAME_SIZE_BYTES_MAX, STRING_SIZE_BYTES_MAX},
};
use crate::model::{
    Batch, BuildId, FrameDefinition, FrameKind, HostWindow, Labels, Location, Naming, ObjectFile,
    Reason, SeriesSamples, StackDefinition, ValueType,
};

/// A batch as a message with the number `sequence`. Equal strings and object files become one.
///
/// A text that is longer than a receiver takes is cut; labels that a receiver does not take (without
/// a name or a value, or with a name that is too long, or past the bound of their number) are left
/// out. Tables are not cut: the sender keeps them small, or is refused.
pub fn encode_batch(sequence: u64, batch: &Batch) -> Message {
    let mut tables = Tables::new();
    let frames = (batch.definitions.frames.iter())
        .map(|frame| tables.frame(frame))
        .collect();
    let windows = (batch.windows.iter())
        .map(|window| tables.window(window))
        .collect();
    Message {
        sequence,
        strings: tables.strings,
        objects: tables.objects,
        frames,
        stacks: batch.definitions.stacks.iter().map(encode_stack).collect(),
        windows,
    }
}

/// Strings and object files of one batch, each once.
struct Tables<'a> {
    strings: Vec<String>,
    string_indexes: HashMap<&'a str, u32>,
    objects: Vec<proto::ObjectFile>,
    object_indexes: HashMap<&'a ObjectFile, u32>,
}

impl<'a> Tables<'a> {
    /// Only the empty string, in its place.
    fn new() -> Self {
        Self {
            strings: vec![String::new()],
            string_indexes: HashMap::from([("", 0)]),
            objects: Vec::new(),
            object_indexes: HashMap::new(),
        }
    }

    /// Index of a string.
    fn string(&mut self, text: &'a str) -> u32 {
        let text = cut(text, STRING_SIZE_BYTES_MAX);
        *self.string_indexes.entry(text).or_insert_with(|| {
            self.strings.push(text.to_owned());
            index(self.strings.len().saturating_sub(1))
        })
    }

    /// Index of an object file, plus one.
    fn object(&mut self, object: &'a ObjectFile) -> u32 {
        if let Some(known) = self.object_indexes.get(object) {
            return *known;
        }
        let path = self.string(&object.path);
        let build_id = object.build_id.as_ref().map(BuildId::as_bytes);
        self.objects.push(proto::ObjectFile {
            path,
            build_id: build_id.unwrap_or_default().to_vec(),
        });
        let place = index(self.objects.len());
        self.object_indexes.insert(object, place);
        place
    }

    /// A frame with its names.
    fn frame(&mut self, frame: &'a FrameDefinition) -> proto::FrameDefinition {
        let (lines, unnamed) = match &frame.naming {
            Naming::Named(names) => (
                names.iter().map(|name| self.line(name)).collect(),
                ReasonCode::Unspecified,
            ),
            Naming::Unnamed(reason) => (Vec::new(), encode_reason(*reason)),
        };
        proto::FrameDefinition {
            hash: Some(proto::Hash {
                low: frame.hash.id().0,
                high: frame.hash.high(),
            }),
            kind: encode_kind(frame.kind).into(),
            object: (frame.object.as_ref()).map_or(0, |object| self.object(object)),
            address: frame.address,
            lines,
            unnamed: unnamed.into(),
        }
    }

    /// One name.
    fn line(&mut self, name: &'a Location) -> proto::Line {
        proto::Line {
            function: self.string(&name.function),
            file: self.string(name.file.as_deref().unwrap_or_default()),
            line: name.line.unwrap_or_default(),
        }
    }

    /// A window with its data.
    fn window(&mut self, window: &'a HostWindow) -> proto::Window {
        proto::Window {
            signal: window.signal.clone(),
            start_ns: nanoseconds(window.span.start),
            duration_ns: nanoseconds(window.span.duration),
            value_types: window.value_types.iter().map(encode_value_type).collect(),
            period_ns: window.period_ns,
            series: (window.series.iter())
                .map(|series| self.series(series))
                .collect(),
            quality: Some(encode_quality(&window.quality)),
        }
    }

    /// One series.
    fn series(&mut self, series: &'a SeriesSamples) -> proto::Series {
        let values = series.samples.iter().flat_map(|sample| &sample.values);
        proto::Series {
            labels: self.labels(&series.labels),
            stacks: (series.samples.iter())
                .map(|sample| sample.stack.0)
                .collect(),
            values: values.copied().collect(),
        }
    }

    /// Names and values in turns.
    fn labels(&mut self, labels: &'a Labels) -> Vec<u32> {
        let fits = |(name, value): &(&String, &String)| {
            (1..=NAME_SIZE_BYTES_MAX).contains(&name.len()) && !value.is_empty()
        };
        (labels.iter().filter(fits).take(LABELS_MAX))
            .flat_map(|(name, value)| [self.string(name), self.string(value)])
            .collect()
    }
}

/// A stack.
fn encode_stack(stack: &StackDefinition) -> proto::StackDefinition {
    proto::StackDefinition {
        hash: Some(proto::Hash {
            low: stack.hash.id().0,
            high: stack.hash.high(),
        }),
        frames: stack.frames.iter().map(|frame| frame.0).collect(),
    }
}

/// What is counted.
fn encode_value_type(value_type: &ValueType) -> proto::ValueType {
    proto::ValueType {
        kind: value_type.kind.clone(),
        unit: value_type.unit.clone(),
    }
}

/// Code of a kind.
fn encode_kind(kind: FrameKind) -> KindCode {
    match kind {
        FrameKind::Native => KindCode::Native,
        FrameKind::Kernel => KindCode::Kernel,
        FrameKind::Jit => KindCode::Jit,
        FrameKind::Truncated => KindCode::Truncated,
        FrameKind::Table => KindCode::Table,
    }
}

/// Code of a reason.
fn encode_reason(reason: Reason) -> ReasonCode {
    match reason {
        Reason::Stripped => ReasonCode::Stripped,
        Reason::Jit => ReasonCode::Jit,
        Reason::Unmapped => ReasonCode::Unmapped,
        Reason::Unreadable => ReasonCode::Unreadable,
        Reason::Malformed => ReasonCode::Malformed,
        Reason::Bounded => ReasonCode::Bounded,
        Reason::KernelHidden => ReasonCode::KernelHidden,
        Reason::NotRecorded => ReasonCode::NotRecorded,
    }
}

/// The start of a text, no longer than `bytes_max`.
fn cut(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let mut ends = (0..=bytes_max).rev();
    ends.find_map(|end| text.get(..end)).unwrap_or_default()
}

/// A span of time; the largest number past 584 years.
fn nanoseconds(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// A length as an index.
fn index(length: usize) -> u32 {
    u32::try_from(length).expect("a batch in memory has less than 2^32 entries")
}
