//! Puts a profile together from parts, each part kept once.

use std::collections::{HashMap, hash_map::Entry};

use xxhash_rust::xxh3::xxh3_128;

use super::{
    Frame, FrameHash, FrameIndex, FrameKind, Naming, ObjectFile, ObjectIndex, Profile, Sample,
    Stack, StackHash, StackIndex, Task, TaskIndex, ValueType,
};

/// Collects counted stacks; equal objects, frames, stacks, tasks and samples become one.
///
/// Meant for readers of formats that carry no content addresses: frame ids are made from what the
/// format does carry (kind, file, address, names), so they are stable, and different from the ids
/// of the same code seen by a probe.
#[derive(Debug, Default)]
pub struct ProfileBuilder {
    profile: Profile,
    objects: HashMap<ObjectFile, ObjectIndex>,
    frames: HashMap<FrameHash, FrameIndex>,
    stacks: HashMap<Vec<FrameIndex>, StackIndex>,
    tasks: HashMap<Task, TaskIndex>,
    samples: HashMap<(TaskIndex, StackIndex), usize>,
}

impl ProfileBuilder {
    /// Starts an empty profile that counts `value_types`.
    pub fn new(value_types: Vec<ValueType>) -> Self {
        let profile = Profile {
            value_types,
            ..Profile::default()
        };
        Self {
            profile,
            ..Self::default()
        }
    }

    /// The profile so far: for the fields that are not tables (host, window, quality).
    pub fn head_mut(&mut self) -> &mut Profile {
        &mut self.profile
    }

    /// Interns an object file.
    pub fn object(&mut self, object: ObjectFile) -> ObjectIndex {
        let next = ObjectIndex(index(self.profile.objects.len()));
        *self.objects.entry(object).or_insert_with_key(|object| {
            self.profile.objects.push(object.clone());
            next
        })
    }

    /// Interns a frame.
    pub fn frame(
        &mut self,
        kind: FrameKind,
        object: Option<ObjectIndex>,
        address: u64,
        naming: Naming,
    ) -> FrameIndex {
        let file = object.and_then(|object| self.profile.object(object));
        let hash = frame_hash(kind, file, address, &naming);
        let next = FrameIndex(index(self.profile.frames.len()));
        match self.frames.entry(hash) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(vacant) => {
                self.profile.frames.push(Frame {
                    id: hash.id(),
                    hash_high: hash.high(),
                    kind,
                    object,
                    address,
                    naming,
                });
                *vacant.insert(next)
            }
        }
    }

    /// Interns a stack, innermost frame first. Every index must come from [`Self::frame`].
    pub fn stack(&mut self, frames: Vec<FrameIndex>) -> StackIndex {
        let next = StackIndex(index(self.profile.stacks.len()));
        match self.stacks.entry(frames) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(vacant) => {
                let frames = vacant.key().clone();
                let hash = stack_hash(&self.profile, &frames);
                self.profile.stacks.push(Stack {
                    id: hash.id(),
                    hash_high: hash.high(),
                    frames,
                });
                *vacant.insert(next)
            }
        }
    }

    /// Interns a task.
    pub fn task(&mut self, task: Task) -> TaskIndex {
        let next = TaskIndex(index(self.profile.tasks.len()));
        *self.tasks.entry(task).or_insert_with_key(|task| {
            self.profile.tasks.push(task.clone());
            next
        })
    }

    /// Adds values to the sample of this task and stack, one for each value type.
    /// Sums stop at the largest number there is.
    pub fn add(&mut self, task: TaskIndex, stack: StackIndex, values: &[u64]) {
        let samples = &mut self.profile.samples;
        let place = *self.samples.entry((task, stack)).or_insert_with(|| {
            let values = vec![0; values.len()];
            samples.push(Sample {
                task,
                stack,
                values,
            });
            samples.len().saturating_sub(1)
        });
        if let Some(sample) = samples.get_mut(place) {
            for (sum, value) in sample.values.iter_mut().zip(values) {
                *sum = sum.saturating_add(*value);
            }
        }
    }

    /// The finished profile.
    pub fn finish(self) -> Profile {
        self.profile
    }
}

/// Turns a table's length into the index of the next entry.
fn index(length: usize) -> u32 {
    u32::try_from(length).expect("readers bound their input below 2^32 entries")
}

/// Content address over what a foreign format knows of a frame.
fn frame_hash(
    kind: FrameKind,
    object: Option<&ObjectFile>,
    address: u64,
    naming: &Naming,
) -> FrameHash {
    let mut bytes = vec![kind as u8, u8::from(object.is_some())];
    if let Some(file) = object {
        put_text(&mut bytes, &file.path);
        let build_id = file.build_id.as_ref().map(ToString::to_string);
        put_text(&mut bytes, build_id.as_deref().unwrap_or_default());
    }
    bytes.extend(address.to_le_bytes());
    match naming {
        Naming::Unnamed(reason) => bytes.push(*reason as u8),
        Naming::Named(locations) => {
            for location in locations {
                put_text(&mut bytes, &location.function);
                put_text(&mut bytes, location.file.as_deref().unwrap_or_default());
                bytes.extend(location.line.unwrap_or_default().to_le_bytes());
            }
        }
    }
    FrameHash(xxh3_128(&bytes))
}

/// Appends a text with its length, so that neighbours cannot run together.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(text.len().to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// Content address over the frames of a stack.
fn stack_hash(profile: &Profile, frames: &[FrameIndex]) -> StackHash {
    let ids: Vec<u8> = frames
        .iter()
        .filter_map(|index| profile.frame(*index))
        .flat_map(|frame| frame.id.0.to_le_bytes())
        .collect();
    StackHash(xxh3_128(&ids))
}

#[cfg(test)]
mod tests {
    use super::ProfileBuilder;
    use crate::model::{FrameKind, Naming, Reason, Task, ValueType};

    #[test]
    fn equal_parts_become_one_and_their_values_add_up() {
        let samples = ValueType {
            kind: "samples".into(),
            unit: "count".into(),
        };
        let mut builder = ProfileBuilder::new(vec![samples]);
        for value in [2, 3] {
            let naming = Naming::Unnamed(Reason::NotRecorded);
            let frame = builder.frame(FrameKind::Native, None, 0x10, naming);
            let stack = builder.stack(vec![frame, frame]);
            let task = builder.task(Task::default());
            builder.add(task, stack, &[value]);
        }
        let profile = builder.finish();
        assert_eq!(Ok(()), profile.validate());
        assert_eq!(vec![5], profile.samples[0].values);
        let sizes = (
            profile.frames.len(),
            profile.stacks.len(),
            profile.samples.len(),
        );
        assert_eq!((1, 1, 1), sizes);
    }
}
