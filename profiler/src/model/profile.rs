//! Counted stacks of one window.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Frame, ObjectFile, Pid, Quality, Signal, StackId, Tid};

/// Place of an [`ObjectFile`] in [`Profile::objects`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub struct ObjectIndex(pub u32);

/// Place of a [`Frame`] in [`Profile::frames`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub struct FrameIndex(pub u32);

/// Place of a [`Stack`] in [`Profile::stacks`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub struct StackIndex(pub u32);

/// Place of a [`Task`] in [`Profile::tasks`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub struct TaskIndex(pub u32);

/// What one column of values counts, and in which unit (pprof's words).
#[derive(Clone, Debug, Eq, Hash, PartialEq, Deserialize, Serialize)]
pub struct ValueType {
    /// What is counted: `samples`, `cpu`.
    pub kind: String,
    /// Its unit: `count`, `nanoseconds`.
    pub unit: String,
}

/// The span of time a profile covers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub struct Window {
    /// Wall clock at the start, since the Unix epoch. Zero when the input did not say.
    pub start: Duration,
    /// Length.
    pub duration: Duration,
}

/// A thread that was seen, with the labels that describe it.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq, Deserialize, Serialize)]
pub struct Task {
    /// Process. Zero when the input did not say.
    pub pid: Pid,
    /// Thread. Zero when the input did not say.
    pub tid: Tid,
    /// Name of the thread as the kernel keeps it: what flame graphs are rooted in.
    pub comm: String,
    /// Further labels (cgroup, exe …), by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Frames of one stack, innermost first, kernel frames before user frames.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub struct Stack {
    /// Content address; the same stack has the same id on every host.
    pub id: StackId,
    /// High half of the stack's 128-bit hash: settles collisions of ids. Zero when unknown.
    #[serde(default)]
    pub hash_high: u64,
    /// Innermost first.
    pub frames: Vec<FrameIndex>,
}

/// One weighted stack of one task.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Sample {
    /// Whose it is.
    pub task: TaskIndex,
    /// Where it was.
    pub stack: StackIndex,
    /// One value for each of [`Profile::value_types`], in the same order.
    pub values: Vec<u64>,
}

/// Counted stacks of one signal over one window, with their own dictionary.
///
/// Every index in it points inside it: [`Profile::validate`] holds for every profile that a reader
/// of a foreign format hands on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Profile {
    /// What was watched.
    pub signal: Signal,
    /// Host name. Empty when the input did not say.
    pub host: String,
    /// The span of time covered.
    pub window: Window,
    /// What each value of a sample counts. The first is the one pictures are drawn with and the
    /// one that collapsed output prints.
    pub value_types: Vec<ValueType>,
    /// Object files that frames point into.
    pub objects: Vec<ObjectFile>,
    /// Frames that stacks are made of.
    pub frames: Vec<Frame>,
    /// Stacks that samples point to.
    pub stacks: Vec<Stack>,
    /// Threads that samples belong to.
    pub tasks: Vec<Task>,
    /// The counted stacks.
    pub samples: Vec<Sample>,
    /// How good all this is.
    pub quality: Quality,
}

/// A profile whose parts do not fit together.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProfileError {
    /// A sample points past the stacks or tasks, or has a wrong number of values.
    #[error("sample {index} points outside the profile")]
    Sample {
        /// Which sample.
        index: usize,
    },
    /// A stack points past the frames.
    #[error("stack {index} points outside the profile")]
    Stack {
        /// Which stack.
        index: usize,
    },
    /// A frame points past the objects, or is named by an empty list.
    #[error("frame {index} points outside the profile or has an empty name list")]
    Frame {
        /// Which frame.
        index: usize,
    },
}

impl Profile {
    /// Checks that every index points inside the profile.
    ///
    /// # Errors
    /// The first part that does not.
    pub fn validate(&self) -> Result<(), ProfileError> {
        let stray_frame = self.frames.iter().position(|frame| {
            frame
                .object
                .is_some_and(|object| self.object(object).is_none())
                || matches!(&frame.naming, super::Naming::Named(names) if names.is_empty())
        });
        if let Some(index) = stray_frame {
            return Err(ProfileError::Frame { index });
        }
        let stray_stack = (self.stacks.iter()).position(|stack| {
            stack
                .frames
                .iter()
                .any(|frame| self.frame(*frame).is_none())
        });
        if let Some(index) = stray_stack {
            return Err(ProfileError::Stack { index });
        }
        let stray_sample = self.samples.iter().position(|sample| {
            self.stack(sample.stack).is_none()
                || self.task(sample.task).is_none()
                || sample.values.len() != self.value_types.len()
        });
        match stray_sample {
            Some(index) => Err(ProfileError::Sample { index }),
            None => Ok(()),
        }
    }

    /// The object at an index, if there is one.
    pub fn object(&self, index: ObjectIndex) -> Option<&ObjectFile> {
        self.objects.get(usize::try_from(index.0).ok()?)
    }

    /// The frame at an index, if there is one.
    pub fn frame(&self, index: FrameIndex) -> Option<&Frame> {
        self.frames.get(usize::try_from(index.0).ok()?)
    }

    /// The stack at an index, if there is one.
    pub fn stack(&self, index: StackIndex) -> Option<&Stack> {
        self.stacks.get(usize::try_from(index.0).ok()?)
    }

    /// The task at an index, if there is one.
    pub fn task(&self, index: TaskIndex) -> Option<&Task> {
        self.tasks.get(usize::try_from(index.0).ok()?)
    }
}
