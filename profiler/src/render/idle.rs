//! Threads that wait for work, folded: in a picture of all that waits they would be nearly all.

use crate::model::{
    Frame, FrameId, FrameIndex, FrameKind, Location, Naming, Profile, Sample, Signal, Stack,
    StackIndex, label,
};

/// Name of the one frame that is left of what is folded.
const FOLDED: &str = "(idle)";
/// Value of the label that tells it.
const IDLE: &str = "idle";

/// The profile with one frame instead of the stacks of threads that waited for work. Other signals
/// than time off the CPU have none.
pub fn fold_idle(profile: &Profile) -> Profile {
    let mut folded = profile.clone();
    if profile.signal != Signal::OffCpu {
        return folded;
    }
    let is_idle = |sample: &Sample| {
        let task = profile.task(sample.task);
        task.is_some_and(|task| {
            task.labels
                .get(label::REASON)
                .is_some_and(|why| why == IDLE)
        })
    };
    let Some(stack) = push_mark(&mut folded) else {
        return folded;
    };
    for sample in folded.samples.iter_mut().filter(|sample| is_idle(sample)) {
        sample.stack = stack;
    }
    folded
}

/// Adds the stack that stands for what is folded.
fn push_mark(profile: &mut Profile) -> Option<StackIndex> {
    let frame = FrameIndex(u32::try_from(profile.frames.len()).ok()?);
    let stack = StackIndex(u32::try_from(profile.stacks.len()).ok()?);
    let location = Location {
        function: FOLDED.to_owned(),
        ..Location::default()
    };
    profile.frames.push(Frame {
        id: FrameId::default(),
        hash_high: 0,
        kind: FrameKind::Table,
        object: None,
        address: 0,
        naming: Naming::Named(vec![location]),
    });
    profile.stacks.push(Stack {
        frames: vec![frame],
        ..Stack::default()
    });
    Some(stack)
}

#[cfg(test)]
mod tests {
    use super::{FOLDED, fold_idle};
    use crate::{
        model::{
            FrameKind, Location, Naming, Profile, ProfileBuilder, Signal, Task, ValueType, label,
        },
        render::{Format, write},
    };

    /// Two threads that wait at the same place, one of them for work.
    fn profile(signal: Signal) -> Profile {
        let value_type = ValueType {
            kind: "delay".to_owned(),
            unit: "nanoseconds".to_owned(),
        };
        let mut builder = ProfileBuilder::new(vec![value_type]);
        let location = Location {
            function: "wait".to_owned(),
            ..Location::default()
        };
        let naming = Naming::Named(vec![location]);
        let frame = builder.frame(FrameKind::Native, None, 0, naming);
        let stack = builder.stack(vec![frame]);
        for (comm, reason) in [("pool", "idle"), ("db", "network")] {
            let labels = [(label::REASON.to_owned(), reason.to_owned())];
            let task = builder.task(Task {
                comm: comm.to_owned(),
                labels: labels.into(),
                ..Task::default()
            });
            builder.add(task, stack, &[5_000]);
        }
        builder.head_mut().signal = signal;
        builder.finish()
    }

    /// The profile as text.
    fn text(profile: &Profile) -> String {
        String::from_utf8(write(profile, Format::Collapsed).unwrap()).unwrap()
    }

    #[test]
    fn who_waits_for_work_is_one_frame() {
        let folded = fold_idle(&profile(Signal::OffCpu));
        folded.validate().unwrap();
        assert_eq!(format!("db;wait 5\npool;{FOLDED} 5\n"), text(&folded));
    }

    #[test]
    fn other_signals_have_nobody_who_is_idle() {
        let cpu = profile(Signal::Cpu);
        assert_eq!(cpu, fold_idle(&cpu));
    }
}
