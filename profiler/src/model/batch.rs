//! What daemons deliver: definitions once, then windows that refer to them by content address.

use std::collections::BTreeMap;

use super::{
    Frame, FrameHash, FrameId, FrameKind, Labels, Naming, ObjectFile, Profile, Quality, StackHash,
    StackId, Task, ValueType, Window, label,
};

/// Names one daemon and its sequence of batches.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SenderId(pub u128);

/// What a frame is and what it is called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FrameDefinition {
    /// Content address.
    pub hash: FrameHash,
    /// Where the code came from.
    pub kind: FrameKind,
    /// The file that holds it.
    pub object: Option<ObjectFile>,
    /// Offset in the file, or the address itself without one.
    pub address: u64,
    /// Its names, or the reason why there are none.
    pub naming: Naming,
}

/// Which frames a stack is made of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StackDefinition {
    /// Content address.
    pub hash: StackHash,
    /// Innermost first.
    pub frames: Vec<FrameId>,
}

/// Definitions of frames and stacks; the frames of a stack are defined before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definitions {
    /// Frames.
    pub frames: Vec<FrameDefinition>,
    /// Stacks.
    pub stacks: Vec<StackDefinition>,
}

/// A stack with its values, one for each value type of its window.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WeightedStack {
    /// Which stack.
    pub stack: StackId,
    /// Values, in the order of [`HostWindow::value_types`].
    pub values: Vec<u64>,
}

/// Weighted stacks that share labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesSamples {
    /// What they share; `host` is among them.
    pub labels: Labels,
    /// Each stack once.
    pub samples: Vec<WeightedStack>,
}

/// One signal of one host over one span of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostWindow {
    /// Host name.
    pub host: String,
    /// `cpu`, `offcpu` …, or the name of an imported profile.
    pub signal: String,
    /// The span of time covered.
    pub span: Window,
    /// What each value counts.
    pub value_types: Vec<ValueType>,
    /// Nanoseconds that one unit of the first value stands for; zero when samples are not periodic.
    pub period_ns: u64,
    /// The data.
    pub series: Vec<SeriesSamples>,
    /// How good the data of the whole host is.
    pub quality: Quality,
}

/// What is delivered at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// What the windows need and the receiver does not have yet.
    pub definitions: Definitions,
    /// The data.
    pub windows: Vec<HostWindow>,
}

impl Batch {
    /// A profile as a batch that needs nothing else. Tasks with the same labels become one series.
    ///
    /// `period_ns` is what a sample stands for; a column of nanoseconds that only repeats the samples
    /// is left out, because the receiver can tell it from the period.
    pub fn from_profile(profile: &Profile, period_ns: u64) -> Self {
        let columns = columns(&profile.value_types, period_ns);
        let mut series: BTreeMap<Labels, BTreeMap<StackId, Vec<u64>>> = BTreeMap::new();
        for sample in &profile.samples {
            let (Some(task), Some(stack)) =
                (profile.task(sample.task), profile.stack(sample.stack))
            else {
                continue;
            };
            let stacks = series.entry(labels_of(task, &profile.host)).or_default();
            let sums = stacks
                .entry(stack.id)
                .or_insert_with(|| vec![0; columns.len()]);
            for (sum, column) in sums.iter_mut().zip(&columns) {
                let value = sample.values.get(*column).copied().unwrap_or_default();
                *sum = sum.saturating_add(value);
            }
        }
        let window = HostWindow {
            host: profile.host.clone(),
            signal: profile.signal.as_str().to_owned(),
            span: profile.window,
            value_types: (columns.iter())
                .filter_map(|column| profile.value_types.get(*column).cloned())
                .collect(),
            period_ns,
            series: series.into_iter().map(to_series).collect(),
            quality: profile.quality.clone(),
        };
        Self {
            definitions: definitions(profile),
            windows: vec![window],
        }
    }
}

/// Places of the columns that are sent: all, or the first one of a periodic signal.
fn columns(value_types: &[ValueType], period_ns: u64) -> Vec<usize> {
    let is_told_by_period =
        |index: usize, kind: &ValueType| 0 < period_ns && 0 < index && kind.unit == "nanoseconds";
    (value_types.iter().enumerate())
        .filter(|(index, value_type)| !is_told_by_period(*index, value_type))
        .map(|(index, _value_type)| index)
        .collect()
}

/// Labels of a task. One that was labelled on its host, which always sets `host`, has what it is to
/// have; the numbers and names of others are added.
fn labels_of(task: &Task, host: &str) -> Labels {
    let mut labels = task.labels.clone();
    if labels.contains_key(label::HOST) {
        return labels;
    }
    let mut set = |name: &str, value: String| {
        if !value.is_empty() {
            labels.entry(name.to_owned()).or_insert(value);
        }
    };
    set(label::HOST, host.to_owned());
    set(label::COMM, task.comm.clone());
    if task.pid.0 != 0 {
        set(label::PID, task.pid.to_string());
    }
    labels
}

/// Sums by stack as a series.
fn to_series((labels, stacks): (Labels, BTreeMap<StackId, Vec<u64>>)) -> SeriesSamples {
    let samples = (stacks.into_iter())
        .map(|(stack, values)| WeightedStack { stack, values })
        .collect();
    SeriesSamples { labels, samples }
}

/// Every frame and stack of a profile.
fn definitions(profile: &Profile) -> Definitions {
    let frame = |frame: &Frame| FrameDefinition {
        hash: FrameHash::from_halves(frame.id, frame.hash_high),
        kind: frame.kind,
        object: frame
            .object
            .and_then(|object| profile.object(object).cloned()),
        address: frame.address,
        naming: frame.naming.clone(),
    };
    let stack = |stack: &super::Stack| StackDefinition {
        hash: StackHash::from_halves(stack.id, stack.hash_high),
        frames: (stack.frames.iter())
            .filter_map(|index| profile.frame(*index).map(|frame| frame.id))
            .collect(),
    };
    Definitions {
        frames: profile.frames.iter().map(frame).collect(),
        stacks: profile.stacks.iter().map(stack).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::Batch;
    use crate::model::{
        FrameKind, Naming, Pid, ProfileBuilder, Reason, SeriesId, Task, ValueType, label,
    };

    fn value_type(kind: &str, unit: &str) -> ValueType {
        ValueType {
            kind: kind.to_owned(),
            unit: unit.to_owned(),
        }
    }

    #[test]
    fn threads_with_equal_labels_share_a_series_and_the_period_stands_for_nanoseconds() {
        let mut builder = ProfileBuilder::new(vec![
            value_type("samples", "count"),
            value_type("cpu", "nanoseconds"),
        ]);
        let naming = Naming::Unnamed(Reason::NotRecorded);
        let frame = builder.frame(FrameKind::Native, None, 0x10, naming);
        let stack = builder.stack(vec![frame]);
        for tid in [1, 2] {
            let task = builder.task(Task {
                pid: Pid(1),
                tid: crate::model::Tid(tid),
                comm: "worker".to_owned(),
                ..Task::default()
            });
            builder.add(task, stack, &[3, 30]);
        }
        builder.head_mut().host = "here".to_owned();
        let batch = Batch::from_profile(&builder.finish(), 10);
        let window = &batch.windows[0];
        assert_eq!(vec![value_type("samples", "count")], window.value_types);
        let [series] = window.series.as_slice() else {
            panic!("{} series", window.series.len());
        };
        assert_eq!(vec![6], series.samples[0].values);
        assert_eq!("here", series.labels[label::HOST]);
        assert_ne!(SeriesId::default(), SeriesId::of(&series.labels));
        assert_eq!(1, batch.definitions.frames.len());
    }
}
