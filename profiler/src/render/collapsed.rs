//! Collapsed stacks: one `comm;frame;frame N` line a stack, outermost first.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{collections::BTreeMap, num::NonZeroU64};

use super::{
    label::{ForeignLabel, Labels, comm_of, comm_text, frames_of},
    limits::STACK_DEPTH_MAX,
    units::shown_value_type,
};
use crate::model::{Profile, ProfileBuilder, Task, ValueType};

/// Nanoseconds in the unit that collapsed times are written in.
const NANOSECONDS_PER_MICROSECOND: NonZeroU64 = NonZeroU64::new(1_000).expect("not zero");

/// Why collapsed stacks could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CollapsedError {
    /// The bytes are not text.
    #[error("not UTF-8 text from byte {offset} on")]
    NotText {
        /// Where the first bad byte is.
        offset: usize,
    },
    /// A line does not end in a space and a whole number.
    #[error("line {line}: expected `comm;frame;frame COUNT`, found no whole number at the end")]
    Count {
        /// From 1.
        line: usize,
    },
    /// A stack is deeper than any real one.
    #[error("line {line}: more than {STACK_DEPTH_MAX} frames")]
    Depth {
        /// From 1.
        line: usize,
    },
}

/// Writes one line a distinct stack, sorted. Stacks that weigh nothing are left out.
pub(super) fn write(profile: &Profile) -> String {
    let divisor = divisor_of(&shown_value_type(profile));
    let mut text = String::new();
    for (stack, value) in stacks(profile) {
        let scaled = value.saturating_add(divisor.get() / 2) / divisor;
        if scaled > 0 {
            text.push_str(&stack);
            text.push(' ');
            text.push_str(&scaled.to_string());
            text.push('\n');
        }
    }
    text
}

/// The first value of every distinct stack, unscaled; key: labels, outermost first, with `;`
/// between, the comm before them.
pub(super) fn stacks(profile: &Profile) -> BTreeMap<String, u64> {
    let labels = Labels::new(profile);
    let mut stacks = BTreeMap::new();
    for sample in &profile.samples {
        let value = sample.values.first().copied().unwrap_or_default();
        let mut key = comm_text(profile.task(sample.task));
        let frames = profile.stack(sample.stack).map(|s| s.frames.as_slice());
        for label in labels.root_first(frames.unwrap_or_default()) {
            key.push(';');
            key.push_str(&label.text);
        }
        let sum: &mut u64 = stacks.entry(key).or_default();
        *sum = sum.saturating_add(value);
    }
    stacks
}

/// What a value is divided by: times are written in microseconds, all else as it is.
fn divisor_of(value_type: &ValueType) -> NonZeroU64 {
    if value_type.unit == "nanoseconds" {
        NANOSECONDS_PER_MICROSECOND
    } else {
        NonZeroU64::MIN
    }
}

/// Reads collapsed stacks of this product or any other. The first element is taken for the comm,
/// the numbers for samples.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, CollapsedError> {
    let text = str::from_utf8(bytes).map_err(|error| CollapsedError::NotText {
        offset: error.valid_up_to(),
    })?;
    let mut builder = ProfileBuilder::new(vec![ValueType {
        kind: "samples".to_owned(),
        unit: "count".to_owned(),
    }]);
    for (place, line) in text.lines().enumerate() {
        let line_number = place.saturating_add(1);
        let line = line.trim_end();
        if !line.is_empty() && !line.starts_with("# ") {
            read_line(&mut builder, line, line_number)?;
        }
    }
    let mut profile = builder.finish();
    profile.quality.samples = super::units::total(&profile);
    Ok(profile)
}

/// Adds the stack of one line.
fn read_line(
    builder: &mut ProfileBuilder,
    line: &str,
    number: usize,
) -> Result<(), CollapsedError> {
    let (stack, count) = line
        .rsplit_once(' ')
        .and_then(|(stack, count)| Some((stack, count.parse().ok()?)))
        .ok_or(CollapsedError::Count { line: number })?;
    if stack.split(';').nth(STACK_DEPTH_MAX).is_some() {
        return Err(CollapsedError::Depth { line: number });
    }
    let mut elements = stack.split(';').map(str::trim);
    let comm = comm_of(elements.next().unwrap_or_default());
    let label = |text| ForeignLabel {
        text,
        file: None,
        line: None,
    };
    let labels: Vec<_> = elements.map(label).collect();
    let frames = frames_of(builder, &labels);
    let stack = builder.stack(frames);
    let task = builder.task(Task {
        comm,
        ..Task::default()
    });
    builder.add(task, stack, &[count]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{CollapsedError, read, write};

    #[test]
    fn equal_stacks_are_summed_and_sorted() {
        let profile = read(b"# a comment\nb;y 1\na;x 2\n\nb;y 3\n").unwrap();
        assert_eq!("a;x 2\nb;y 4\n", write(&profile));
    }

    #[test]
    fn a_name_may_hold_spaces() {
        let text = "my app;operator new(unsigned long);f(int, char) 7\n";
        assert_eq!(text, write(&read(text.as_bytes()).unwrap()));
    }

    #[test]
    fn times_are_written_in_microseconds() {
        let mut profile = read(b"a;x 1499\na;y 400\n").unwrap();
        profile.value_types[0].unit = "nanoseconds".into();
        assert_eq!("a;x 1\n", write(&profile));
    }

    #[test]
    fn errors_name_the_line() {
        for bad in ["a;b 1\na;b", "a;b 1\na;b 1.5", "a;b 1\na;b -1", "x 1\n7"] {
            let error = read(bad.as_bytes()).unwrap_err();
            assert!(matches!(error, CollapsedError::Count { line: 2 }), "{bad}");
        }
        let error = read(b"a 1\n\xff 1").unwrap_err();
        assert!(matches!(error, CollapsedError::NotText { offset: 4 }));
    }

    #[test]
    fn a_stack_may_be_as_deep_as_the_limit_and_no_deeper() {
        let frames = vec!["f"; super::STACK_DEPTH_MAX];
        let line = |count| format!("{} 1", frames[..count].join(";"));
        read(line(frames.len()).as_bytes()).unwrap();
        let deeper = format!("comm;{}", line(frames.len()));
        let error = read(deeper.as_bytes()).unwrap_err();
        assert!(matches!(error, CollapsedError::Depth { line: 1 }));
    }
}
