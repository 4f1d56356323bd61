//! A selection as a profile, and as a file.

use std::collections::{HashMap, HashSet};

use super::{
    QueryError, quality,
    reader::Reader,
    series::{Part, split},
    stacks::Stacks,
};
use crate::{
    model::{
        Frame, FrameDefinition, FrameId, FrameIndex, FrameKind, Location, Naming, ObjectFile,
        ObjectIndex, Profile, Sample, Selection, Signal, Stack, StackId, StackIndex, Task,
        TaskIndex, ValueType, Window, label,
    },
    render::{self, Format},
    service::store::{FrameHashes, QueryLimits},
};

/// Host names that a title has room for.
const HOSTS_NAMED_MAX: usize = 3;
/// Name of the task that holds what cannot be told apart.
const ALL: &str = "(all)";
/// Why a stack has no frames.
const UNKNOWN: &str = "unknown stack";

/// A selection as a file.
///
/// # Errors
/// As [`Reader::merged`]; the file could not be made.
pub fn export(
    reader: &Reader,
    selection: &Selection,
    format: Format,
    limits: &QueryLimits,
) -> Result<Vec<u8>, QueryError> {
    let profile = profile(reader, selection, limits)?;
    render::write(&profile, format).map_err(QueryError::Render)
}

/// A selection as a profile: one task for each `comm`, as a recording has; frames and stacks keep
/// their content addresses.
///
/// # Errors
/// As [`Reader::merged`].
pub fn profile(
    reader: &Reader,
    selection: &Selection,
    limits: &QueryLimits,
) -> Result<Profile, QueryError> {
    let stacks = Stacks::read(reader, selection, limits)?;
    let parts = split(reader, selection, label::COMM, limits)?;
    let profile_type = &selection.profile_type;
    let mut dictionary = Dictionary::default();
    let ids: Vec<StackId> = stacks
        .merged
        .stacks
        .iter()
        .map(|(id, _value)| *id)
        .collect();
    dictionary.load(reader, &ids);
    let mut profile = Profile {
        signal: Signal::named(&profile_type.signal),
        host: host_text(reader, selection, limits)?,
        window: Window {
            start: selection.range.start,
            duration: selection.range.end.saturating_sub(selection.range.start),
        },
        value_types: vec![ValueType {
            kind: profile_type.kind.clone(),
            unit: profile_type.unit.clone(),
        }],
        objects: dictionary.objects,
        frames: dictionary.frames,
        stacks: dictionary.stacks,
        tasks: Vec::new(),
        samples: Vec::new(),
        quality: stacks.quality,
    };
    for part in parts {
        add_part(&mut profile, &dictionary.stack_indexes, part);
    }
    Ok(profile)
}

/// Hosts as a title names them.
fn host_text(
    reader: &Reader,
    selection: &Selection,
    limits: &QueryLimits,
) -> Result<String, QueryError> {
    let names = quality::hosts_concerned(reader, selection, limits)?;
    Ok(if names.len() <= HOSTS_NAMED_MAX {
        Vec::from_iter(names).join(", ")
    } else {
        format!("{} hosts", names.len())
    })
}

/// Adds the samples of one task.
fn add_part(profile: &mut Profile, indexes: &HashMap<StackId, StackIndex>, part: Part) {
    let task = TaskIndex(index(profile.tasks.len()));
    profile.tasks.push(Task {
        comm: part.value.unwrap_or_else(|| ALL.to_owned()),
        ..Task::default()
    });
    // A part read a moment later than the whole may hold a stack that is new since then.
    let samples = part.merged.stacks.iter().filter_map(|(id, value)| {
        Some(Sample {
            task,
            stack: *indexes.get(id)?,
            values: vec![*value],
        })
    });
    profile.samples.extend(samples);
}

/// Turns the length of a table into the index of its next entry.
fn index(length: usize) -> u32 {
    u32::try_from(length).expect("stacks of a selection are bounded")
}

/// Objects, frames and stacks of a profile, each once.
#[derive(Default)]
struct Dictionary {
    objects: Vec<ObjectFile>,
    object_indexes: HashMap<ObjectFile, ObjectIndex>,
    frames: Vec<Frame>,
    frame_indexes: HashMap<FrameId, FrameIndex>,
    stacks: Vec<Stack>,
    stack_indexes: HashMap<StackId, StackIndex>,
    /// The frame that stands for what is not known, once it is needed.
    unknown: Option<FrameIndex>,
}

impl Dictionary {
    /// Loads the definitions of stacks.
    fn load(&mut self, reader: &Reader, ids: &[StackId]) {
        let stacks = reader.store().stacks(ids);
        let frames = stacks.iter().flatten().flat_map(|frames| frames.iter());
        let frames: HashSet<FrameId> = frames.copied().collect();
        let mut frames: Vec<FrameId> = frames.into_iter().collect();
        frames.sort_unstable();
        let definitions = reader.store().frames(&frames);
        for (id, definition) in frames.into_iter().zip(definitions) {
            if let Some(definition) = definition {
                self.add_frame(id, &definition);
            }
        }
        for (id, frames) in ids.iter().zip(stacks) {
            self.add_stack(*id, &frames);
        }
    }

    /// Adds a frame.
    fn add_frame(&mut self, id: FrameId, definition: &FrameDefinition) {
        let object = (definition.object.as_ref()).map(|object| self.add_object(object));
        self.frame_indexes
            .insert(id, FrameIndex(index(self.frames.len())));
        self.frames.push(Frame {
            id,
            hash_high: definition.hash.high(),
            kind: definition.kind,
            object,
            address: definition.address,
            naming: definition.naming.clone(),
        });
    }

    /// The index of an object.
    fn add_object(&mut self, object: &ObjectFile) -> ObjectIndex {
        if let Some(known) = self.object_indexes.get(object) {
            return *known;
        }
        let next = ObjectIndex(index(self.objects.len()));
        self.objects.push(object.clone());
        self.object_indexes.insert(object.clone(), next);
        next
    }

    /// Adds a stack. Frames that are not known, and a whole stack that is not, are marked as cut.
    fn add_stack(&mut self, id: StackId, frames: &FrameHashes) {
        let mut indexes = Vec::new();
        for frame in frames.as_deref().unwrap_or_default() {
            let known = self.frame_indexes.get(frame).copied();
            indexes.push(known.unwrap_or_else(|| self.unknown_frame()));
        }
        if frames.is_none() {
            indexes.push(self.unknown_frame());
        }
        self.stack_indexes
            .insert(id, StackIndex(index(self.stacks.len())));
        self.stacks.push(Stack {
            id,
            hash_high: 0,
            frames: indexes,
        });
    }

    /// The frame that stands for what is not known.
    fn unknown_frame(&mut self) -> FrameIndex {
        if let Some(known) = self.unknown {
            return known;
        }
        let next = FrameIndex(index(self.frames.len()));
        self.frames.push(Frame {
            id: FrameId::default(),
            hash_high: 0,
            kind: FrameKind::Truncated,
            object: None,
            address: 0,
            naming: Naming::Named(vec![Location {
                function: UNKNOWN.to_owned(),
                ..Location::default()
            }]),
        });
        self.unknown = Some(next);
        next
    }
}
