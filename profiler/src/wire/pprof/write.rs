//! Profile to pprof message.

use std::{collections::HashMap, io::Write as _};

use flate2::{Compression, write::GzEncoder};
use prost::Message as _;

use super::{WriteError, generated as proto, mapping};
use crate::model::{
    Frame, FrameKind, Location, Naming, ObjectIndex, Profile, Quality, Sample, Task,
};

/// Every object gets a range of addresses of its own, a multiple of this long.
const RANGE_ALIGN: u64 = 1 << 20;
/// Offsets from here on are addresses, not offsets in a file: they stay what they are.
const OFFSET_END: u64 = 1 << 40;
/// Nanoseconds in a second.
const NANOSECONDS_PER_SECOND: f64 = 1e9;

/// Writes one gzipped message.
///
/// # Errors
/// [`WriteError::Gzip`]; none in practice, since it writes to memory.
pub fn write(profile: &Profile) -> Result<Vec<u8>, WriteError> {
    write_joined(profile, std::slice::from_ref(profile))
}

/// Writes a profile that was joined of several; each of them tells its quality.
///
/// # Errors
/// [`WriteError::Gzip`]; none in practice, since it writes to memory.
pub fn write_joined(joined: &Profile, parts: &[Profile]) -> Result<Vec<u8>, WriteError> {
    let message = Writer::new(joined, parts).message();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&message.encode_to_vec())
        .map_err(WriteError::Gzip)?;
    gzip.finish().map_err(WriteError::Gzip)
}

/// Which mapping a frame belongs to.
type MappingKey = (Option<ObjectIndex>, String);

/// What grows while a message is put together.
struct Writer<'a> {
    profile: &'a Profile,
    /// Whose quality is told.
    parts: &'a [Profile],
    message: proto::Profile,
    strings: HashMap<String, i64>,
    functions: HashMap<(i64, i64), u64>,
    mappings: HashMap<MappingKey, usize>,
}

impl<'a> Writer<'a> {
    /// Starts with an empty message.
    fn new(profile: &'a Profile, parts: &'a [Profile]) -> Self {
        let mut writer = Self {
            profile,
            parts,
            message: proto::Profile::default(),
            strings: HashMap::new(),
            functions: HashMap::new(),
            mappings: HashMap::new(),
        };
        // The format wants the empty string first.
        writer.string("");
        writer
    }

    /// Puts the message together.
    fn message(mut self) -> proto::Profile {
        self.message.sample_type = self
            .profile
            .value_types
            .iter()
            .map(|value_type| self.value_type(&value_type.kind, &value_type.unit))
            .collect();
        self.put_mappings();
        for (place, frame) in self.profile.frames.iter().enumerate() {
            let location = self.location(place, frame);
            self.message.location.push(location);
        }
        for sample in &self.profile.samples {
            let sample = self.sample(sample);
            self.message.sample.push(sample);
        }
        self.put_head();
        self.message
    }

    /// Times, period, preferred value and comments.
    fn put_head(&mut self) {
        let window = self.profile.window;
        self.message.time_nanos = clamped(window.start.as_nanos());
        self.message.duration_nanos = clamped(window.duration.as_nanos());
        if let Some(first) = self.profile.value_types.first() {
            self.message.default_sample_type = self.string(&first.kind);
        }
        let rate_hz = self.profile.quality.rate_asked_hz;
        if rate_hz > 0.0 {
            let period_type = self.value_type(self.profile.signal.as_str(), "nanoseconds");
            self.message.period_type = Some(period_type);
            self.message.period = period_ns(rate_hz);
        }
        for part in self.parts {
            if 1 < self.parts.len() {
                self.comment(&format!("event: {}", part.signal.as_str()));
            }
            for comment in comments(part) {
                self.comment(&comment);
            }
        }
    }

    /// Adds a line for people.
    fn comment(&mut self, text: &str) {
        let comment = self.string(text);
        self.message.comment.push(comment);
    }

    /// Interns a string.
    fn string(&mut self, text: &str) -> i64 {
        if let Some(place) = self.strings.get(text) {
            return *place;
        }
        let place = clamped(self.message.string_table.len() as u128);
        self.message.string_table.push(text.to_owned());
        self.strings.insert(text.to_owned(), place);
        place
    }

    /// A kind with its unit.
    fn value_type(&mut self, kind: &str, unit: &str) -> proto::ValueType {
        proto::ValueType {
            ty: self.string(kind),
            unit: self.string(unit),
        }
    }

    /// Makes a mapping for every object that frames are in, each with addresses of its own.
    fn put_mappings(&mut self) {
        for frame in &self.profile.frames {
            if let Some(key) = self.mapping_key(frame) {
                let place = self.mapping(key);
                if let Some(mapping) = self.message.mapping.get_mut(place) {
                    describe(mapping, frame);
                }
            }
        }
        let mut start = RANGE_ALIGN;
        for mapping in &mut self.message.mapping {
            // Until here the limit is the largest offset.
            let end = mapping.memory_limit;
            if end >= OFFSET_END {
                // No rebasing: the offset is the address.
                mapping.memory_limit = end.saturating_add(1);
                continue;
            }
            mapping.memory_start = start;
            let length = (end + 1).next_multiple_of(RANGE_ALIGN);
            mapping.memory_limit = start + length;
            start += length;
        }
    }

    /// Which mapping a frame belongs to, if any.
    fn mapping_key(&self, frame: &Frame) -> Option<MappingKey> {
        let object = frame.object.and_then(|object| self.profile.object(object));
        let path = object.map(|object| object.path.as_str());
        Some((frame.object, mapping::name(frame.kind, path)?))
    }

    /// Interns a mapping; returns its place.
    fn mapping(&mut self, key: MappingKey) -> usize {
        if let Some(place) = self.mappings.get(&key) {
            return *place;
        }
        let place = self.message.mapping.len();
        let object = key.0.and_then(|object| self.profile.object(object));
        let build_id = object.and_then(|object| object.build_id.as_ref());
        let build_id = build_id.map(ToString::to_string).unwrap_or_default();
        let mapping = proto::Mapping {
            id: place as u64 + 1,
            filename: self.string(&key.1),
            build_id: self.string(&build_id),
            ..proto::Mapping::default()
        };
        self.message.mapping.push(mapping);
        self.mappings.insert(key, place);
        place
    }

    /// One frame; its id is its place plus one.
    fn location(&mut self, place: usize, frame: &Frame) -> proto::Location {
        let key = self.mapping_key(frame);
        let mapping = key.and_then(|key| self.mappings.get(&key).copied());
        let mapping = mapping.and_then(|place| self.message.mapping.get(place));
        let (mapping_id, start) = mapping.map_or((0, 0), |m| (m.id, m.memory_start));
        let line = match &frame.naming {
            _ if frame.kind == FrameKind::Truncated => vec![self.truncation(frame)],
            Naming::Named(locations) => locations.iter().map(|at| self.line(at)).collect(),
            Naming::Unnamed(_) => Vec::new(),
        };
        proto::Location {
            id: place as u64 + 1,
            mapping_id,
            address: frame.address.saturating_add(start),
            line,
            is_folded: false,
        }
    }

    /// The mark of a cut stack as a function.
    fn truncation(&mut self, frame: &Frame) -> proto::Line {
        let why = match &frame.naming {
            Naming::Named(locations) => locations.first().map(|why| why.function.as_str()),
            Naming::Unnamed(_) => None,
        };
        let function = match why {
            Some(why) => format!("[truncated: {why}]"),
            None => "[truncated]".to_owned(),
        };
        self.line(&Location {
            function,
            ..Location::default()
        })
    }

    /// A function with its line.
    fn line(&mut self, location: &Location) -> proto::Line {
        let name = self.string(&location.function);
        let filename = self.string(location.file.as_deref().unwrap_or_default());
        let next = self.message.function.len() as u64 + 1;
        let function_id = *self.functions.entry((name, filename)).or_insert_with(|| {
            self.message.function.push(proto::Function {
                id: next,
                name,
                system_name: name,
                filename,
                start_line: 0,
            });
            next
        });
        proto::Line {
            function_id,
            line: location.line.map_or(0, i64::from),
        }
    }

    /// One weighted stack.
    fn sample(&mut self, sample: &Sample) -> proto::Sample {
        let stack = self.profile.stack(sample.stack);
        let frames = stack.map_or(&[] as &[_], |stack| stack.frames.as_slice());
        let task = self.profile.task(sample.task);
        proto::Sample {
            location_id: frames.iter().map(|frame| u64::from(frame.0) + 1).collect(),
            value: sample
                .values
                .iter()
                .map(|v| clamped(u128::from(*v)))
                .collect(),
            label: task.map(|task| self.labels(task)).unwrap_or_default(),
        }
    }

    /// What describes a thread.
    fn labels(&mut self, task: &Task) -> Vec<proto::Label> {
        let mut labels = Vec::new();
        for (key, number) in [("pid", task.pid.0), ("tid", task.tid.0)] {
            if number != 0 {
                let key = self.string(key);
                labels.push(proto::Label {
                    key,
                    num: i64::from(number),
                    ..proto::Label::default()
                });
            }
        }
        let names = [("comm", task.comm.as_str()), ("thread", task.comm.as_str())];
        let others = task
            .labels
            .iter()
            .map(|(key, text)| (key.as_str(), text.as_str()));
        for (key, text) in names.into_iter().chain(others) {
            if !text.is_empty() {
                labels.push(proto::Label {
                    key: self.string(key),
                    str: self.string(text),
                    ..proto::Label::default()
                });
            }
        }
        labels
    }
}

/// Enters a frame into the mapping that holds it: how far it reaches and what is known of it.
fn describe(mapping: &mut proto::Mapping, frame: &Frame) {
    mapping.memory_limit = mapping.memory_limit.max(frame.address);
    if let Naming::Named(locations) = &frame.naming {
        mapping.has_functions = true;
        mapping.has_inline_frames |= locations.len() > 1;
        mapping.has_filenames |= locations.iter().any(|location| location.file.is_some());
        mapping.has_line_numbers |= locations.iter().any(|location| location.line.is_some());
    }
}

/// The quality of the data, one fact a line.
fn comments(profile: &Profile) -> Vec<String> {
    let Quality {
        samples,
        idle,
        complete,
        fallback,
        frames,
        frames_unnamed,
        rate_asked_hz,
        rate_effective_hz,
        duty_cycle,
        ..
    } = &profile.quality;
    let mut comments = vec![
        format!("host: {}", profile.host),
        format!(
            "rate: {rate_asked_hz} Hz asked, {rate_effective_hz:.1} Hz taken, duty cycle {duty_cycle}"
        ),
        format!(
            "samples: {samples} kept, {} lost, {idle} idle",
            profile.quality.lost_total()
        ),
        format!(
            "user stacks: {complete} complete, {} truncated, {fallback} with frame-pointer fallback",
            profile.quality.truncated_total()
        ),
        format!("frames: {frames} distinct, {frames_unnamed} unnamed"),
    ];
    comments.extend(counts("lost", &profile.quality.lost));
    comments.extend(counts("truncated", &profile.quality.truncated));
    comments
}

/// One line for each cause: `lost: 3 ring_full`.
fn counts<'a, K: serde::Serialize + 'a>(
    what: &'static str,
    by_cause: impl IntoIterator<Item = (&'a K, &'a u64)>,
) -> impl Iterator<Item = String> {
    by_cause.into_iter().map(move |(cause, count)| {
        let name = serde_json::to_string(cause).unwrap_or_default();
        format!("{what}: {count} {}", name.trim_matches('"'))
    })
}

/// Nanoseconds between two samples of one CPU.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a rate above zero; huge periods saturate"
)]
fn period_ns(rate_hz: f64) -> i64 {
    (NANOSECONDS_PER_SECOND / rate_hz).round() as i64
}

/// The format's numbers are signed; larger ones stop at its largest.
fn clamped(value: u128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
