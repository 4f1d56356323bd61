//! Pprof message to profile.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{borrow::Cow, collections::HashMap, io::Read as _, time::Duration};

use flate2::bufread::MultiGzDecoder;
use prost::Message as _;

use super::{
    ReadError, Reference, generated as proto,
    limits::{MESSAGE_SIZE_BYTES_MAX, STACK_DEPTH_MAX, VALUE_TYPES_MAX},
    mapping, scan,
};
use crate::model::{
    BuildId, FrameIndex, FrameKind, Location, Naming, ObjectFile, ObjectIndex, Pid, Profile,
    ProfileBuilder, Reason, Task, TaskIndex, Tid, ValueType,
};

/// First bytes of every gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Function that marks a cut stack, without the closing bracket.
const TRUNCATED: &str = "[truncated";

/// Reads one message, gzipped or not.
///
/// Values keep their order; the comm of a sample without a `thread` or `comm` label is the name of
/// the first mapping's file, which is the program by the format's convention.
///
/// # Errors
/// What does not fit, and which entry of which table it is in.
pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    let message = decompress(bytes)?;
    if message.len() > MESSAGE_SIZE_BYTES_MAX {
        return Err(ReadError::TooLarge);
    }
    scan::check_counts(&message)?;
    let message = proto::Profile::decode(message.as_ref()).map_err(ReadError::Decode)?;
    let mut reader = Reader::new(&message)?;
    for (index, sample) in message.sample.iter().enumerate() {
        reader.sample(index, sample)?;
    }
    Ok(reader.finish())
}

/// Unpacks gzip, up to one byte more than a message may have.
fn decompress(bytes: &[u8]) -> Result<Cow<'_, [u8]>, ReadError> {
    if !bytes.starts_with(&GZIP_MAGIC) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut message = Vec::new();
    let most = (MESSAGE_SIZE_BYTES_MAX as u64).saturating_add(1);
    MultiGzDecoder::new(bytes)
        .take(most)
        .read_to_end(&mut message)
        .map_err(ReadError::Gzip)?;
    Ok(Cow::Owned(message))
}

/// What grows while a message is read.
struct Reader<'a> {
    message: &'a proto::Profile,
    builder: ProfileBuilder,
    /// Comm of samples that name none.
    program: String,
    /// By location id.
    frames: HashMap<u64, FrameIndex>,
}

/// A mapping with its object.
struct Mapped<'a> {
    mapping: &'a proto::Mapping,
    name: &'a str,
    object: Option<ObjectIndex>,
}

impl<'a> Reader<'a> {
    /// Reads all tables but the samples.
    fn new(message: &'a proto::Profile) -> Result<Self, ReadError> {
        let mut reader = Self {
            message,
            builder: ProfileBuilder::new(value_types(message)?),
            program: String::new(),
            frames: HashMap::new(),
        };
        let mappings = reader.mappings()?;
        let functions = reader.functions()?;
        if let Some(first) = message.mapping.first() {
            let path = text(message, "mapping", 0, first.filename)?;
            path.rsplit('/')
                .next()
                .unwrap_or_default()
                .clone_into(&mut reader.program);
        }
        for (index, location) in message.location.iter().enumerate() {
            let frame = reader.frame(index, location, &mappings, &functions)?;
            reader.frames.insert(location.id, frame);
        }
        Ok(reader)
    }

    /// The mappings by id, their objects interned.
    fn mappings(&mut self) -> Result<HashMap<u64, Mapped<'a>>, ReadError> {
        let mut mappings = HashMap::new();
        for (index, mapping) in self.message.mapping.iter().enumerate() {
            let name = text(self.message, "mapping", index, mapping.filename)?;
            let build_id = text(self.message, "mapping", index, mapping.build_id)?;
            let object = ObjectFile {
                path: mapping::path(name).to_owned(),
                build_id: BuildId::try_from(build_id.to_owned()).ok(),
            };
            let object = (object != ObjectFile::default()).then(|| self.builder.object(object));
            let mapped = Mapped {
                mapping,
                name,
                object,
            };
            mappings.insert(mapping.id, mapped);
        }
        Ok(mappings)
    }

    /// The functions by id, without lines.
    fn functions(&self) -> Result<HashMap<u64, Location>, ReadError> {
        let mut functions = HashMap::new();
        for (index, function) in self.message.function.iter().enumerate() {
            let name = text(self.message, "function", index, function.name)?;
            let system_name = text(self.message, "function", index, function.system_name)?;
            let file = text(self.message, "function", index, function.filename)?;
            let location = Location {
                function: if name.is_empty() { system_name } else { name }.to_owned(),
                file: (!file.is_empty()).then(|| file.to_owned()),
                line: None,
            };
            functions.insert(function.id, location);
        }
        Ok(functions)
    }

    /// Interns the frame of one location.
    fn frame(
        &mut self,
        index: usize,
        location: &proto::Location,
        mappings: &HashMap<u64, Mapped<'_>>,
        functions: &HashMap<u64, Location>,
    ) -> Result<FrameIndex, ReadError> {
        let mapped = match location.mapping_id {
            0 => None,
            id => Some(
                mappings
                    .get(&id)
                    .ok_or_else(|| dangling("location", index, Reference::Mapping, id))?,
            ),
        };
        let naming = naming(index, location, functions)?;
        if let Some(why) = truncation(&naming) {
            return Ok(self.builder.frame(FrameKind::Truncated, None, 0, why));
        }
        let address = mapped.map_or(location.address, |mapped| {
            let offset = location.address.wrapping_sub(mapped.mapping.memory_start);
            offset.wrapping_add(mapped.mapping.file_offset)
        });
        let name = mapped.map_or("", |mapped| mapped.name);
        let kind = mapping::kind_of(name, location.address);
        let object = mapped.and_then(|mapped| mapped.object);
        Ok(self.builder.frame(kind, object, address, naming))
    }

    /// Adds one weighted stack.
    fn sample(&mut self, index: usize, sample: &proto::Sample) -> Result<(), ReadError> {
        let expected = self.message.sample_type.len();
        if sample.value.len() != expected {
            let found = sample.value.len();
            return Err(ReadError::Values {
                index,
                found,
                expected,
            });
        }
        if sample.location_id.len() > STACK_DEPTH_MAX {
            return Err(ReadError::Depth { index });
        }
        let value = |value: &i64| {
            let value = *value;
            u64::try_from(value).map_err(|_negative| ReadError::Negative { index, value })
        };
        let values = sample
            .value
            .iter()
            .map(value)
            .collect::<Result<Vec<_>, _>>()?;
        let frame = |id: &u64| {
            let known = self.frames.get(id).copied();
            known.ok_or_else(|| dangling("sample", index, Reference::Location, *id))
        };
        let frames = sample
            .location_id
            .iter()
            .map(frame)
            .collect::<Result<Vec<_>, _>>()?;
        let task = self.task(index, sample)?;
        let stack = self.builder.stack(frames);
        self.builder.add(task, stack, &values);
        Ok(())
    }

    /// Interns the thread that a sample's labels describe.
    fn task(&mut self, index: usize, sample: &proto::Sample) -> Result<TaskIndex, ReadError> {
        let mut task = Task::default();
        for label in &sample.label {
            let key = text(self.message, "sample", index, label.key)?;
            let value = text(self.message, "sample", index, label.str)?;
            let number = u32::try_from(label.num).unwrap_or_default();
            match key {
                "pid" => task.pid = Pid(number),
                "tid" => task.tid = Tid(number),
                _ if value.is_empty() => {
                    task.labels.insert(key.to_owned(), label.num.to_string());
                }
                _ => {
                    task.labels.insert(key.to_owned(), value.to_owned());
                }
            }
        }
        name_thread(&mut task, &self.program);
        Ok(self.builder.task(task))
    }

    /// Enters what the message says of itself.
    fn finish(mut self) -> Profile {
        let window = &mut self.builder.head_mut().window;
        window.start = duration(self.message.time_nanos);
        window.duration = duration(self.message.duration_nanos);
        let mut profile = self.builder.finish();
        let counts = |value_type: &ValueType| value_type.unit == "count";
        if profile.value_types.first().is_some_and(counts) {
            let values = profile
                .samples
                .iter()
                .filter_map(|sample| sample.values.first());
            profile.quality.samples = values.fold(0, |sum: u64, value| sum.saturating_add(*value));
        }
        profile
    }
}

/// What the message counts.
fn value_types(message: &proto::Profile) -> Result<Vec<ValueType>, ReadError> {
    let found = message.sample_type.len();
    if !(1..=VALUE_TYPES_MAX).contains(&found) {
        return Err(ReadError::ValueTypes { found });
    }
    let value_type = |(index, value_type): (usize, &proto::ValueType)| {
        Ok(ValueType {
            kind: text(message, "value type", index, value_type.ty)?.to_owned(),
            unit: text(message, "value type", index, value_type.unit)?.to_owned(),
        })
    };
    message
        .sample_type
        .iter()
        .enumerate()
        .map(value_type)
        .collect()
}

/// A string by its place.
fn text<'a>(
    message: &'a proto::Profile,
    in_table: &'static str,
    index: usize,
    place: i64,
) -> Result<&'a str, ReadError> {
    let known = usize::try_from(place).ok();
    known
        .and_then(|place| message.string_table.get(place))
        .map(String::as_str)
        .ok_or_else(|| dangling(in_table, index, Reference::String, place))
}

/// Something points at what does not exist.
fn dangling(
    in_table: &'static str,
    index: usize,
    reference: Reference,
    id: impl Into<i128>,
) -> ReadError {
    ReadError::Dangling {
        in_table,
        index,
        reference,
        id: id.into(),
    }
}

/// The names of one location, innermost function first.
fn naming(
    index: usize,
    location: &proto::Location,
    functions: &HashMap<u64, Location>,
) -> Result<Naming, ReadError> {
    let mut names = Vec::with_capacity(location.line.len());
    for line in &location.line {
        let function = functions
            .get(&line.function_id)
            .ok_or_else(|| dangling("location", index, Reference::Function, line.function_id))?;
        let line = u32::try_from(line.line).ok().filter(|line| *line > 0);
        names.push(Location {
            line,
            ..function.clone()
        });
    }
    Ok(if names.is_empty() {
        Naming::Unnamed(Reason::NotRecorded)
    } else {
        Naming::Named(names)
    })
}

/// Why a stack was cut, when the names are the mark of it.
fn truncation(naming: &Naming) -> Option<Naming> {
    let Naming::Named(names) = naming else {
        return None;
    };
    let [mark] = names.as_slice() else {
        return None;
    };
    let rest = mark.function.strip_prefix(TRUNCATED)?.strip_suffix(']')?;
    let Some(why) = rest.strip_prefix(": ") else {
        return rest
            .is_empty()
            .then_some(Naming::Unnamed(Reason::NotRecorded));
    };
    Some(Naming::Named(vec![Location {
        function: why.to_owned(),
        ..Location::default()
    }]))
}

/// Takes the thread's name from the labels, else from the program.
fn name_thread(task: &mut Task, program: &str) {
    let thread = task.labels.remove("thread");
    match thread {
        Some(thread) => {
            if task.labels.get("comm") == Some(&thread) {
                task.labels.remove("comm");
            }
            task.comm = thread;
        }
        None => {
            task.comm = task
                .labels
                .remove("comm")
                .unwrap_or_else(|| program.to_owned());
        }
    }
}

/// Nanoseconds; zero when negative.
fn duration(nanoseconds: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default())
}
