//! Profile to speedscope file.

use std::collections::{BTreeMap, HashMap};

use super::{EXPORTER, File, FileFrame, FileProfile, FileUnit, SCHEMA, Sampled, Shared};
use crate::{
    model::{Pid, Profile, StackIndex, TaskIndex, ValueType},
    render::{
        label::{Label, Labels, comm_text},
        units::{shown_value_type, to_f64},
    },
};

/// Weights of one process: by thread name and stack.
type Weights = BTreeMap<(String, StackIndex), u64>;

/// Writes one `sampled` profile a process, heaviest first, in the first value type.
///
/// # Errors
/// None in practice: every part of a profile has a JSON form.
pub(in crate::render) fn write(profile: &Profile) -> Result<Vec<u8>, serde_json::Error> {
    let mut writer = Writer {
        profile,
        labels: Labels::new(profile),
        unit: unit_of(&shown_value_type(profile)),
        frames: Vec::new(),
        places: HashMap::new(),
    };
    let mut processes: Vec<(Pid, Weights)> = by_process(profile).into_iter().collect();
    processes.sort_by_key(|(pid, weights)| (std::cmp::Reverse(sum(weights)), *pid));
    let profiles = processes
        .into_iter()
        .map(|(pid, weights)| FileProfile::Sampled(writer.process(pid, &weights)))
        .collect();
    serde_json::to_vec(&File {
        schema: SCHEMA.to_owned(),
        exporter: Some(format!("{EXPORTER} {}", env!("CARGO_PKG_VERSION"))),
        name: Some(name_of(profile)),
        shared: Shared {
            frames: writer.frames,
        },
        profiles,
    })
}

/// What the file is called in the viewer.
fn name_of(profile: &Profile) -> String {
    let signal = profile.signal.as_str();
    if profile.host.is_empty() {
        signal.to_owned()
    } else {
        format!("{signal} on {}", profile.host)
    }
}

/// The format's word for a unit.
fn unit_of(value_type: &ValueType) -> FileUnit {
    match value_type.unit.as_str() {
        "nanoseconds" => FileUnit::Nanoseconds,
        "bytes" => FileUnit::Bytes,
        _ => FileUnit::None,
    }
}

/// Weights of every process.
fn by_process(profile: &Profile) -> BTreeMap<Pid, Weights> {
    let mut processes: BTreeMap<Pid, Weights> = BTreeMap::new();
    for sample in &profile.samples {
        let task = profile.task(sample.task);
        let pid = task.map(|task| task.pid).unwrap_or_default();
        let key = (comm_text(task), sample.stack);
        let weight = processes.entry(pid).or_default().entry(key).or_default();
        *weight = weight.saturating_add(sample.values.first().copied().unwrap_or_default());
    }
    processes
}

/// Weight of one process.
fn sum(weights: &Weights) -> u64 {
    weights
        .values()
        .fold(0, |sum, weight| sum.saturating_add(*weight))
}

/// What grows while profiles are written.
struct Writer<'a> {
    profile: &'a Profile,
    labels: Labels,
    unit: FileUnit,
    frames: Vec<FileFrame>,
    places: HashMap<FileFrame, usize>,
}

impl Writer<'_> {
    /// One process as a profile of the file.
    fn process(&mut self, pid: Pid, weights: &Weights) -> Sampled {
        let stacks = weights
            .keys()
            .map(|(comm, stack)| self.stack(comm, *stack))
            .collect();
        Sampled {
            name: self.process_name(pid, weights),
            unit: self.unit,
            start_value: 0.0,
            end_value: to_f64(sum(weights)),
            samples: stacks,
            weights: weights.values().copied().map(to_f64).collect(),
        }
    }

    /// The comm of the main thread, else of the heaviest, and the pid.
    fn process_name(&self, pid: Pid, weights: &Weights) -> String {
        let tasks = (0..).map_while(|index| self.profile.task(TaskIndex(index)));
        let main = { tasks }.find(|task| task.pid == pid && task.tid.0 == pid.0 && pid.0 != 0);
        let comm = match main {
            Some(main) => comm_text(Some(main)),
            None => heaviest_comm(weights),
        };
        if pid.0 == 0 {
            comm
        } else {
            format!("{comm} ({pid})")
        }
    }

    /// One stack, outermost first, the thread before it.
    fn stack(&mut self, comm: &str, stack: StackIndex) -> Vec<usize> {
        let thread = FileFrame {
            name: comm.to_owned(),
            file: None,
            line: None,
        };
        let frames = self.profile.stack(stack).map(|s| s.frames.as_slice());
        let labels = self.labels.root_first(frames.unwrap_or_default());
        let listed: Vec<FileFrame> = labels.map(file_frame).collect();
        std::iter::once(thread)
            .chain(listed)
            .map(|frame| self.place(frame))
            .collect()
    }

    /// Index of a frame in the file.
    fn place(&mut self, frame: FileFrame) -> usize {
        let next = self.frames.len();
        *self.places.entry(frame).or_insert_with_key(|frame| {
            self.frames.push(frame.clone());
            next
        })
    }
}

/// Name of the thread that weighs most.
fn heaviest_comm(weights: &Weights) -> String {
    let mut by_comm: BTreeMap<&str, u64> = BTreeMap::new();
    for ((comm, _), weight) in weights {
        let sum = by_comm.entry(comm).or_default();
        *sum = sum.saturating_add(*weight);
    }
    let heaviest = by_comm.into_iter().max_by_key(|(_, weight)| *weight);
    heaviest.map_or("", |(comm, _)| comm).to_owned()
}

/// A label as the file has it.
fn file_frame(label: &Label) -> FileFrame {
    let (file, line) = match &label.source {
        Some((file, line)) => (Some(file.clone()), *line),
        None => (None, None),
    };
    FileFrame {
        name: label.text.clone(),
        file,
        line,
    }
}
