//! Profiles of several signals in one, for formats that hold several kinds of values.

use std::collections::HashMap;

use crate::model::{
    FrameIndex, ObjectIndex, Profile, ProfileBuilder, Sample, Stack, StackIndex, TaskIndex,
    ValueType,
};

/// Joins profiles: equal stacks of equal tasks are one sample, which has the values of the first
/// profile, then those of the next. Window, host and quality are those of the first.
///
/// A kind of value that two signals have gets the name of its signal in front: `tcp_time`.
pub(super) fn join(profiles: &[Profile]) -> Profile {
    let types = value_types(profiles);
    let count = types.len();
    let mut builder = ProfileBuilder::new(types);
    let mut first_value = 0;
    for profile in profiles {
        let places = Places::of(profile, &mut builder);
        for sample in &profile.samples {
            let Some((task, stack)) = places.of_sample(sample) else {
                continue;
            };
            let mut values = vec![0; count];
            for (sum, value) in values.iter_mut().skip(first_value).zip(&sample.values) {
                *sum = *value;
            }
            builder.add(task, stack, &values);
        }
        first_value += profile.value_types.len();
    }
    let mut joined = builder.finish();
    if let Some(first) = profiles.first() {
        joined.signal = first.signal;
        joined.host.clone_from(&first.host);
        joined.window = first.window;
        joined.quality = first.quality.clone();
    }
    joined
}

/// What is counted by all of them, under different names.
fn value_types(profiles: &[Profile]) -> Vec<ValueType> {
    let mut uses: HashMap<&str, u32> = HashMap::new();
    for value_type in profiles.iter().flat_map(|profile| &profile.value_types) {
        *uses.entry(&value_type.kind).or_default() += 1;
    }
    let named = |profile: &Profile, value_type: &ValueType| {
        let is_shared = uses
            .get(value_type.kind.as_str())
            .is_some_and(|uses| 1 < *uses);
        ValueType {
            kind: if is_shared {
                format!("{}_{}", profile.signal.as_str(), value_type.kind)
            } else {
                value_type.kind.clone()
            },
            unit: value_type.unit.clone(),
        }
    };
    let types = profiles.iter().flat_map(|profile| {
        let types = profile.value_types.iter();
        types.map(move |value_type| named(profile, value_type))
    });
    types.collect()
}

/// Where the tasks and stacks of a profile are in the joined one.
struct Places {
    tasks: Vec<TaskIndex>,
    stacks: Vec<StackIndex>,
}

impl Places {
    /// Puts all parts of a profile into the joined one.
    fn of(profile: &Profile, builder: &mut ProfileBuilder) -> Self {
        let objects: Vec<ObjectIndex> = (profile.objects.iter())
            .map(|object| builder.object(object.clone()))
            .collect();
        let place = |index: u32| usize::try_from(index).unwrap_or(usize::MAX);
        let frames: Vec<FrameIndex> = (profile.frames.iter())
            .map(|frame| {
                let object = frame.object.and_then(|object| objects.get(place(object.0)));
                let naming = frame.naming.clone();
                builder.frame(frame.kind, object.copied(), frame.address, naming)
            })
            .collect();
        let stack = |stack: &Stack| -> Vec<FrameIndex> {
            let known = stack
                .frames
                .iter()
                .filter_map(|frame| frames.get(place(frame.0)));
            known.copied().collect()
        };
        Self {
            tasks: (profile.tasks.iter())
                .map(|task| builder.task(task.clone()))
                .collect(),
            stacks: (profile.stacks.iter())
                .map(|known| builder.stack(stack(known)))
                .collect(),
        }
    }

    /// Where the task and the stack of a sample are.
    fn of_sample(&self, sample: &Sample) -> Option<(TaskIndex, StackIndex)> {
        let task = self.tasks.get(usize::try_from(sample.task.0).ok()?)?;
        let stack = self.stacks.get(usize::try_from(sample.stack.0).ok()?)?;
        Some((*task, *stack))
    }
}

#[cfg(test)]
mod tests {
    use super::join;
    use crate::model::{
        FrameKind, Location, Naming, Profile, ProfileBuilder, Signal, Task, ValueType,
    };

    /// A profile of one thread, with a value for each function.
    fn profile(signal: Signal, kinds: &[&str], functions: &[(&str, u64)]) -> Profile {
        let value_type = |kind: &&str| ValueType {
            kind: (*kind).to_owned(),
            unit: "count".to_owned(),
        };
        let mut builder = ProfileBuilder::new(kinds.iter().map(value_type).collect());
        let task = builder.task(Task {
            comm: "app".to_owned(),
            ..Task::default()
        });
        for (function, value) in functions {
            let location = Location {
                function: (*function).to_owned(),
                ..Location::default()
            };
            let naming = Naming::Named(vec![location]);
            let frame = builder.frame(FrameKind::Native, None, 0, naming);
            let stack = builder.stack(vec![frame]);
            builder.add(task, stack, &vec![*value; kinds.len()]);
        }
        builder.head_mut().signal = signal;
        builder.finish()
    }

    #[test]
    fn equal_stacks_are_one_sample_with_the_values_of_all() {
        let cpu = profile(Signal::Cpu, &["samples"], &[("f", 3), ("g", 4)]);
        let off_cpu = profile(Signal::OffCpu, &["delay", "events"], &[("g", 5), ("h", 6)]);
        let joined = join(&[cpu, off_cpu]);
        joined.validate().unwrap();
        let kinds: Vec<_> = joined
            .value_types
            .iter()
            .map(|each| each.kind.as_str())
            .collect();
        assert_eq!(vec!["samples", "delay", "events"], kinds);
        let values: Vec<_> = joined
            .samples
            .iter()
            .map(|each| each.values.clone())
            .collect();
        assert_eq!(vec![vec![3, 0, 0], vec![4, 5, 5], vec![0, 6, 6]], values);
        assert_eq!((1, 3), (joined.tasks.len(), joined.frames.len()));
    }

    #[test]
    fn a_kind_that_two_signals_have_is_told_apart() {
        let of = |signal| profile(signal, &["time", "calls"], &[("f", 1)]);
        let mut tcp = of(Signal::Tcp);
        tcp.value_types[1].kind = "events".to_owned();
        let joined = join(&[of(Signal::Syscall), tcp]);
        let kinds: Vec<_> = joined
            .value_types
            .iter()
            .map(|each| each.kind.as_str())
            .collect();
        assert_eq!(vec!["syscall_time", "calls", "tcp_time", "events"], kinds);
    }
}
