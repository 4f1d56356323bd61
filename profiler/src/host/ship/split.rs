//! Batches that are larger than the service takes, as several.

use std::collections::HashSet;

use prost::Message as _;

use super::limits::{HALVINGS_MAX, MESSAGE_SIZE_BYTES_MAX};
use crate::{
    model::{Batch, Definitions, FrameId, HostWindow, Quality, SeriesSamples, StackId},
    wire::v1::{
        encode_batch,
        limits::{FRAMES_MAX, LINES_MAX, SERIES_MAX, STACKS_MAX, STRINGS_MAX, VALUES_MAX},
    },
};

/// Cuts a batch until each part is what the service takes. The quality stays with the first part, so
/// that nothing is counted twice. A part that cannot be cut further is left as it is.
pub(super) fn split(batch: Batch) -> Vec<Batch> {
    split_at_most(batch, HALVINGS_MAX)
}

/// Cuts it so many times.
fn split_at_most(batch: Batch, halvings: u32) -> Vec<Batch> {
    if halvings == 0 || fits(&batch) {
        return vec![batch];
    }
    let Some((left, right)) = halve(&batch) else {
        return vec![batch];
    };
    let mut parts = split_at_most(left, halvings - 1);
    parts.extend(split_at_most(right, halvings - 1));
    parts
}

/// Whether the service takes a batch.
fn fits(batch: &Batch) -> bool {
    let series = batch
        .windows
        .iter()
        .map(|window| window.series.len())
        .sum::<usize>();
    if STACKS_MAX < batch.definitions.stacks.len()
        || FRAMES_MAX < batch.definitions.frames.len()
        || SERIES_MAX < series
    {
        return false;
    }
    let message = encode_batch(0, batch);
    let lines: usize = message.frames.iter().map(|frame| frame.lines.len()).sum();
    let series = message.windows.iter().flat_map(|window| &window.series);
    let values: usize = series.map(|series| series.values.len()).sum();
    message.strings.len() <= STRINGS_MAX
        && lines <= LINES_MAX
        && values <= VALUES_MAX
        && message.encoded_len() <= MESSAGE_SIZE_BYTES_MAX
}

/// Two halves; `None` when there is only one stack.
fn halve(batch: &Batch) -> Option<(Batch, Batch)> {
    let [window] = batch.windows.as_slice() else {
        let middle = batch.windows.len() / 2;
        let (left, right) = batch.windows.split_at_checked(middle.max(1))?;
        return Some((part(batch, left.to_vec()), part(batch, right.to_vec())));
    };
    let (left, right) = match window.series.as_slice() {
        [] => return None,
        [series] => {
            let (left, right) = series.samples.split_at(series.samples.len() / 2);
            if left.is_empty() {
                return None;
            }
            let of = |samples: &[_]| SeriesSamples {
                labels: series.labels.clone(),
                samples: samples.to_vec(),
            };
            (vec![of(left)], vec![of(right)])
        }
        several => {
            let (left, right) = several.split_at(several.len() / 2);
            (left.to_vec(), right.to_vec())
        }
    };
    let left = HostWindow {
        series: left,
        ..window.clone()
    };
    let right = HostWindow {
        series: right,
        quality: Quality::default(),
        ..window.clone()
    };
    Some((part(batch, vec![left]), part(batch, vec![right])))
}

/// Some windows of a batch with the definitions that they need.
fn part(batch: &Batch, windows: Vec<HostWindow>) -> Batch {
    let samples = (windows.iter())
        .flat_map(|window| &window.series)
        .flat_map(|series| &series.samples);
    let stacks: HashSet<StackId> = samples.map(|sample| sample.stack).collect();
    let stacks: Vec<_> = (batch.definitions.stacks.iter())
        .filter(|stack| stacks.contains(&stack.hash.id()))
        .cloned()
        .collect();
    let frames: HashSet<FrameId> = stacks
        .iter()
        .flat_map(|stack| &stack.frames)
        .copied()
        .collect();
    let frames = (batch.definitions.frames.iter())
        .filter(|frame| frames.contains(&frame.hash.id()))
        .cloned()
        .collect();
    Batch {
        definitions: Definitions { frames, stacks },
        windows,
    }
}

#[cfg(test)]
mod tests {
    use super::{fits, split};
    use crate::{
        model::{Batch, FrameKind, Naming, Pid, ProfileBuilder, Reason, Task, ValueType},
        wire::v1::limits::STACKS_MAX,
    };

    #[test]
    fn a_window_that_is_too_large_becomes_several_that_hold_everything_once() {
        let samples = ValueType {
            kind: "samples".to_owned(),
            unit: "count".to_owned(),
        };
        let mut builder = ProfileBuilder::new(vec![samples]);
        let tasks = [1, 2].map(|pid| {
            builder.task(Task {
                pid: Pid(pid),
                ..Task::default()
            })
        });
        let count = STACKS_MAX as u64 + 10;
        for address in 0..count {
            let naming = Naming::Unnamed(Reason::Stripped);
            // Two frames a stack, and 100 distinct frames in all.
            let inner = builder.frame(FrameKind::Jit, None, address % 997, naming.clone());
            let outer = builder.frame(FrameKind::Jit, None, 1000 + address / 997, naming);
            let stack = builder.stack(vec![inner, outer]);
            builder.add(tasks[usize::from(address % 3 == 0)], stack, &[1]);
        }
        builder.head_mut().quality.samples = count;
        let batch = Batch::from_profile(&builder.finish(), 0);
        assert!(!fits(&batch));
        let parts = split(batch);
        assert!(1 < parts.len() && parts.iter().all(fits));
        let windows = || parts.iter().flat_map(|part| &part.windows);
        let quality: u64 = windows().map(|window| window.quality.samples).sum();
        let series = windows().flat_map(|window| &window.series);
        let values: u64 = series
            .flat_map(|series| &series.samples)
            .map(|s| s.values[0])
            .sum();
        assert_eq!((count, count), (quality, values));
    }
}
