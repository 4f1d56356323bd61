//! A message as a batch of the model: every bound and every index checked.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::time::Duration;

use super::{
    DecodeError, Table, decode_quality,
    generated::{
        self as proto, Batch as Message, FrameKind as KindCode, UnnamedReason as ReasonCode,
    },
    limits::{
        LINES_PER_FRAME_MAX, NAME_SIZE_BYTES_MAX, STRING_SIZE_BYTES_MAX, VALUE_MAX,
        WINDOW_DURATION_NS_MAX,
    },
};
use crate::model::{
    Batch, BuildId, Definitions, FrameDefinition, FrameHash, FrameId, FrameKind, HostWindow,
    Labels, Location, Naming, ObjectFile, Reason, SeriesSamples, StackDefinition, StackHash,
    StackId, ValueType, WeightedStack, Window, label,
};

/// A message as its number and its batch.
///
/// The host of a window is what the labels of its first series say; a window does not name its host
/// otherwise, so the receiver sets it from the `Hello`. Codes of a newer sender are taken for the
/// most general thing they can be.
///
/// # Errors
/// The first thing that does not fit. Memory is a small multiple of the message's.
pub fn decode_batch(message: Message) -> Result<(u64, Batch), DecodeError> {
    if message.sequence == 0 {
        let (what, found) = ("sequence number", 0);
        return Err(DecodeError::Range { what, found });
    }
    check_tables(&message)?;
    let tables = Tables::new(&message.strings, &message.objects)?;
    let definitions = Definitions {
        frames: collect(&message.frames, |frame| tables.frame(frame))?,
        stacks: collect(message.stacks, decode_stack)?,
    };
    let windows = collect(message.windows, |window| tables.window(window))?;
    let batch = Batch {
        definitions,
        windows,
    };
    Ok((message.sequence, batch))
}

/// Converts each entry, or says what is wrong with the first that does not fit.
fn collect<I: IntoIterator, T>(
    entries: I,
    convert: impl FnMut(I::Item) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    entries.into_iter().map(convert).collect()
}

/// Checks the lengths of tables.
fn check_tables(message: &Message) -> Result<(), DecodeError> {
    let series = || message.windows.iter().flat_map(|window| &window.series);
    let sum = |lengths: &mut dyn Iterator<Item = usize>| lengths.fold(0, usize::saturating_add);
    let lengths = [
        (Table::Strings, message.strings.len()),
        (Table::Objects, message.objects.len()),
        (Table::Frames, message.frames.len()),
        (Table::Stacks, message.stacks.len()),
        (Table::Windows, message.windows.len()),
        (
            Table::Lines,
            sum(&mut message.frames.iter().map(|frame| frame.lines.len())),
        ),
        (Table::Series, series().count()),
        (
            Table::Values,
            sum(&mut series().map(|series| series.values.len())),
        ),
    ];
    (lengths.into_iter()).try_for_each(|(table, length)| check_length(table, length))
}

/// Checks the length of one table.
fn check_length(table: Table, length: usize) -> Result<(), DecodeError> {
    if length <= table.entries_max() {
        return Ok(());
    }
    Err(DecodeError::TooMany { table })
}

/// Checks that a text is there and not too long.
fn check_name(what: &'static str, text: &str) -> Result<(), DecodeError> {
    if text.is_empty() {
        return Err(DecodeError::Empty { what });
    }
    check_size(what, text, NAME_SIZE_BYTES_MAX)
}

/// Checks that a text is not too long.
fn check_size(what: &'static str, text: &str, bytes_max: usize) -> Result<(), DecodeError> {
    let found_bytes = text.len();
    if found_bytes <= bytes_max {
        return Ok(());
    }
    Err(DecodeError::TooLong {
        what,
        found_bytes,
        bytes_max,
    })
}

/// What indexes of one batch point into.
struct Tables<'a> {
    strings: &'a [String],
    objects: Vec<ObjectFile>,
}

impl<'a> Tables<'a> {
    /// Checks strings and reads object files.
    fn new(strings: &'a [String], objects: &[proto::ObjectFile]) -> Result<Self, DecodeError> {
        if let Some(first) = strings.first().filter(|first| !first.is_empty()) {
            let (what, found_bytes, bytes_max) = ("the first string", first.len(), 0);
            return Err(DecodeError::TooLong {
                what,
                found_bytes,
                bytes_max,
            });
        }
        (strings.iter())
            .try_for_each(|text| check_size("a string", text, STRING_SIZE_BYTES_MAX))?;
        let mut tables = Self {
            strings,
            objects: Vec::new(),
        };
        tables.objects = collect(objects, |object| tables.read_object(object))?;
        Ok(tables)
    }

    /// A string by its index.
    fn string(&self, index: u32) -> Result<&'a str, DecodeError> {
        let table = Table::Strings;
        (usize::try_from(index).ok())
            .and_then(|place| self.strings.get(place))
            .map(String::as_str)
            .ok_or(DecodeError::Dangling { table, index })
    }

    /// One entry of the table of objects.
    fn read_object(&self, object: &proto::ObjectFile) -> Result<ObjectFile, DecodeError> {
        let build_id = BuildId::new(&object.build_id);
        if build_id.is_none() && !object.build_id.is_empty() {
            let what = "size of a build id";
            let found = u64::try_from(object.build_id.len()).unwrap_or(u64::MAX);
            return Err(DecodeError::Range { what, found });
        }
        let path = self.string(object.path)?.to_owned();
        Ok(ObjectFile { path, build_id })
    }

    /// An object file by its index plus one; zero for none.
    fn object(&self, index: u32) -> Result<Option<ObjectFile>, DecodeError> {
        let Some(place) = index.checked_sub(1) else {
            return Ok(None);
        };
        let table = Table::Objects;
        let object = usize::try_from(place)
            .ok()
            .and_then(|place| self.objects.get(place));
        object
            .map(|object| Some(object.clone()))
            .ok_or(DecodeError::Dangling { table, index })
    }

    /// A frame with its names.
    fn frame(&self, frame: &proto::FrameDefinition) -> Result<FrameDefinition, DecodeError> {
        let what = "hash of a frame";
        let hash = frame.hash.ok_or(DecodeError::Empty { what })?;
        if LINES_PER_FRAME_MAX < frame.lines.len() {
            let table = Table::Lines;
            return Err(DecodeError::TooMany { table });
        }
        let naming = if frame.lines.is_empty() {
            Naming::Unnamed(decode_reason(frame.unnamed))
        } else {
            Naming::Named(collect(&frame.lines, |line| self.line(line))?)
        };
        Ok(FrameDefinition {
            hash: FrameHash::from_halves(FrameId(hash.low), hash.high),
            kind: decode_kind(frame.kind)?,
            object: self.object(frame.object)?,
            address: frame.address,
            naming,
        })
    }

    /// One name.
    fn line(&self, line: &proto::Line) -> Result<Location, DecodeError> {
        let file = self.string(line.file)?;
        Ok(Location {
            function: self.string(line.function)?.to_owned(),
            file: (!file.is_empty()).then(|| file.to_owned()),
            line: Some(line.line).filter(|line| *line != 0),
        })
    }

    /// A window with its data.
    fn window(&self, window: proto::Window) -> Result<HostWindow, DecodeError> {
        check_name("name of a signal", &window.signal)?;
        let span = decode_span(window.start_ns, window.duration_ns)?;
        let value_types = decode_value_types(window.value_types)?;
        let width = value_types.len();
        let series = collect(window.series, |series| self.series(&series, width))?;
        let host = series
            .first()
            .and_then(|series| series.labels.get(label::HOST));
        Ok(HostWindow {
            host: host.cloned().unwrap_or_default(),
            signal: window.signal,
            span,
            value_types,
            period_ns: window.period_ns,
            series,
            quality: decode_quality(&window.quality.unwrap_or_default())?,
        })
    }

    /// One series with `width` values for each stack.
    fn series(&self, series: &proto::Series, width: usize) -> Result<SeriesSamples, DecodeError> {
        let stacks = series.stacks.len();
        let found = series.values.len();
        if stacks.checked_mul(width) != Some(found) {
            return Err(DecodeError::Values {
                found,
                stacks,
                value_types: width,
            });
        }
        if let Some(found) = series.values.iter().find(|value| VALUE_MAX < **value) {
            let (what, found) = ("a value", *found);
            return Err(DecodeError::Range { what, found });
        }
        check_stacks(&series.stacks)?;
        let samples = (series.stacks.iter())
            .zip(series.values.chunks_exact(width))
            .map(|(stack, values)| WeightedStack {
                stack: StackId(*stack),
                values: values.to_vec(),
            });
        Ok(SeriesSamples {
            labels: self.labels(&series.labels)?,
            samples: samples.collect(),
        })
    }

    /// Labels from names and values in turns.
    fn labels(&self, indexes: &[u32]) -> Result<Labels, DecodeError> {
        let (pairs, rest) = indexes.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(DecodeError::LabelPairs);
        }
        check_length(Table::Labels, pairs.len())?;
        let mut labels = Labels::new();
        for [name, value] in pairs {
            let name = self.string(*name)?;
            check_name("name of a label", name)?;
            let is_last = |(last, _): (&String, _)| last.as_str() < name;
            if !labels.last_key_value().is_none_or(is_last) {
                return Err(DecodeError::LabelOrder);
            }
            let value = self.string(*value)?;
            if value.is_empty() {
                let what = "value of a label";
                return Err(DecodeError::Empty { what });
            }
            labels.insert(name.to_owned(), value.to_owned());
        }
        Ok(labels)
    }
}

/// A stack.
fn decode_stack(stack: proto::StackDefinition) -> Result<StackDefinition, DecodeError> {
    let what = "hash of a stack";
    let hash = stack.hash.ok_or(DecodeError::Empty { what })?;
    check_length(Table::Depth, stack.frames.len())?;
    Ok(StackDefinition {
        hash: StackHash::from_halves(StackId(hash.low), hash.high),
        frames: stack.frames.into_iter().map(FrameId).collect(),
    })
}

/// Checks that each stack is there once.
fn check_stacks(stacks: &[u64]) -> Result<(), DecodeError> {
    if stacks.is_sorted_by(|left, right| left < right) {
        return Ok(());
    }
    let mut sorted = stacks.to_vec();
    sorted.sort_unstable();
    let twice = (sorted.iter().zip(sorted.iter().skip(1))).find(|(left, right)| left == right);
    match twice {
        Some((stack, _)) => Err(DecodeError::StackTwice { stack: *stack }),
        None => Ok(()),
    }
}

/// What is counted.
fn decode_value_types(value_types: Vec<proto::ValueType>) -> Result<Vec<ValueType>, DecodeError> {
    if value_types.is_empty() {
        let what = "list of value types";
        return Err(DecodeError::Empty { what });
    }
    check_length(Table::ValueTypes, value_types.len())?;
    collect(value_types, |proto::ValueType { kind, unit }| {
        check_name("kind of a value", &kind)?;
        check_name("unit of a value", &unit)?;
        Ok(ValueType { kind, unit })
    })
}

/// A span of time that ends before the year 2262, as signed nanoseconds do.
fn decode_span(start_ns: u64, duration_ns: u64) -> Result<Window, DecodeError> {
    if WINDOW_DURATION_NS_MAX < duration_ns {
        let (what, found) = ("length of a window in nanoseconds", duration_ns);
        return Err(DecodeError::Range { what, found });
    }
    let end_ns = start_ns.saturating_add(duration_ns);
    if VALUE_MAX < end_ns {
        let (what, found) = ("start of a window in nanoseconds", start_ns);
        return Err(DecodeError::Range { what, found });
    }
    Ok(Window {
        start: Duration::from_nanos(start_ns),
        duration: Duration::from_nanos(duration_ns),
    })
}

/// A kind by its code. Code of a kind that is not known yet is some language's.
fn decode_kind(code: i32) -> Result<FrameKind, DecodeError> {
    match KindCode::try_from(code) {
        Ok(KindCode::Unspecified) => {
            let (what, found) = ("kind of a frame", 0);
            Err(DecodeError::Range { what, found })
        }
        Ok(KindCode::Native) => Ok(FrameKind::Native),
        Ok(KindCode::Kernel) => Ok(FrameKind::Kernel),
        Ok(KindCode::Truncated) => Ok(FrameKind::Truncated),
        Ok(KindCode::Table) => Ok(FrameKind::Table),
        Ok(KindCode::Jit) | Err(_) => Ok(FrameKind::Jit),
    }
}

/// A reason by its code.
fn decode_reason(code: i32) -> Reason {
    match ReasonCode::try_from(code) {
        Ok(ReasonCode::Stripped) => Reason::Stripped,
        Ok(ReasonCode::Jit) => Reason::Jit,
        Ok(ReasonCode::Unmapped) => Reason::Unmapped,
        Ok(ReasonCode::Unreadable) => Reason::Unreadable,
        Ok(ReasonCode::Malformed) => Reason::Malformed,
        Ok(ReasonCode::Bounded) => Reason::Bounded,
        Ok(ReasonCode::KernelHidden) => Reason::KernelHidden,
        Ok(ReasonCode::NotRecorded | ReasonCode::Unspecified) | Err(_) => Reason::NotRecorded,
    }
}
