//! Speedscope file to profile.

use super::{
    EXPORTER, Edge, Evented, FRAMES_READ_MAX, File, FileFrame, FileProfile, FileUnit,
    STACK_DEPTH_MAX, Sampled, SpeedscopeError,
};
use crate::{
    model::{Pid, Profile, ProfileBuilder, Task, TaskIndex, Tid, ValueType},
    render::label::{ForeignLabel, comm_of, frames_of},
};

/// Largest weight or time accepted: larger ones are no exact numbers in JSON's floating point.
const WEIGHT_MAX: f64 = 9_007_199_254_740_992.0;

/// Reads every profile of a file into one.
pub(in crate::render) fn read(bytes: &[u8]) -> Result<Profile, SpeedscopeError> {
    let file: File = serde_json::from_slice(bytes).map_err(SpeedscopeError::Syntax)?;
    let first = file.profiles.first().map_or(FileUnit::None, unit_of);
    let mut reader = Reader {
        frames: &file.shared.frames,
        builder: ProfileBuilder::new(vec![value_type_of(first)]),
        ours: is_ours(file.exporter.as_deref()),
        frames_left: FRAMES_READ_MAX,
        profile: 0,
    };
    for (place, profile) in file.profiles.iter().enumerate() {
        reader.profile = place;
        reader.check_unit(unit_of(profile), first)?;
        match profile {
            FileProfile::Sampled(sampled) => reader.sampled(sampled)?,
            FileProfile::Evented(evented) => reader.evented(evented)?,
        }
    }
    let mut profile = reader.builder.finish();
    if first == FileUnit::None {
        profile.quality.samples = crate::render::units::total(&profile);
    }
    Ok(profile)
}

/// Whether this product wrote the file, so that the outermost frame is the thread.
fn is_ours(exporter: Option<&str>) -> bool {
    exporter.and_then(|exporter| exporter.split(' ').next()) == Some(EXPORTER)
}

/// The unit of a profile.
fn unit_of(profile: &FileProfile) -> FileUnit {
    match profile {
        FileProfile::Sampled(sampled) => sampled.unit,
        FileProfile::Evented(evented) => evented.unit,
    }
}

/// What a value in this unit counts; times are kept in nanoseconds.
fn value_type_of(unit: FileUnit) -> ValueType {
    let (kind, unit) = match kept_unit(unit) {
        "nanoseconds" => ("cpu", "nanoseconds"),
        "bytes" => ("space", "bytes"),
        _ => ("samples", "count"),
    };
    ValueType {
        kind: kind.to_owned(),
        unit: unit.to_owned(),
    }
}

/// The unit that values are kept in.
fn kept_unit(unit: FileUnit) -> &'static str {
    match unit {
        FileUnit::None => "count",
        FileUnit::Bytes => "bytes",
        FileUnit::Nanoseconds
        | FileUnit::Microseconds
        | FileUnit::Milliseconds
        | FileUnit::Seconds => "nanoseconds",
    }
}

/// What one of this unit is in the unit that is kept.
fn scale_of(unit: FileUnit) -> f64 {
    match unit {
        FileUnit::None | FileUnit::Bytes | FileUnit::Nanoseconds => 1.0,
        FileUnit::Microseconds => 1e3,
        FileUnit::Milliseconds => 1e6,
        FileUnit::Seconds => 1e9,
    }
}

/// What grows while profiles are read.
struct Reader<'a> {
    frames: &'a [FileFrame],
    builder: ProfileBuilder,
    ours: bool,
    /// Frames that further stacks may have: a file of events can repeat a deep stack for a few
    /// bytes each time.
    frames_left: usize,
    /// Which profile is being read.
    profile: usize,
}

impl Reader<'_> {
    /// All profiles of a file become one, so they must count the same thing.
    fn check_unit(&self, found: FileUnit, first: FileUnit) -> Result<(), SpeedscopeError> {
        let (found, first) = (kept_unit(found), kept_unit(first));
        if found == first {
            return Ok(());
        }
        let profile = self.profile;
        Err(SpeedscopeError::MixedUnits {
            profile,
            found,
            first,
        })
    }

    /// Adds stacks with weights.
    fn sampled(&mut self, sampled: &Sampled) -> Result<(), SpeedscopeError> {
        if sampled.samples.len() != sampled.weights.len() {
            return Err(SpeedscopeError::Weights {
                profile: self.profile,
                samples: sampled.samples.len(),
                weights: sampled.weights.len(),
            });
        }
        let scale = scale_of(sampled.unit);
        for (entry, (stack, weight)) in sampled.samples.iter().zip(&sampled.weights).enumerate() {
            self.add(&sampled.name, entry, stack, *weight * scale)?;
        }
        Ok(())
    }

    /// Adds the stacks between functions that open and close.
    fn evented(&mut self, evented: &Evented) -> Result<(), SpeedscopeError> {
        let profile = self.profile;
        let scale = scale_of(evented.unit);
        let mut stack: Vec<usize> = Vec::new();
        let mut last_at = evented.events.first().map_or(0.0, |event| event.at);
        for (entry, event) in evented.events.iter().enumerate() {
            if !stack.is_empty() && event.at.total_cmp(&last_at).is_ne() {
                self.add(&evented.name, entry, &stack, (event.at - last_at) * scale)?;
            }
            last_at = event.at;
            match event.edge {
                Edge::Open => stack.push(event.frame),
                Edge::Close if stack.last() == Some(&event.frame) => {
                    stack.truncate(stack.len().saturating_sub(1));
                }
                Edge::Close => return Err(SpeedscopeError::Nesting { profile, entry }),
            }
        }
        Ok(())
    }

    /// Adds one stack, outermost frame first, with its weight in the kept unit.
    fn add(
        &mut self,
        name: &str,
        entry: usize,
        stack: &[usize],
        weight: f64,
    ) -> Result<(), SpeedscopeError> {
        let profile = self.profile;
        if stack.len() > STACK_DEPTH_MAX {
            return Err(SpeedscopeError::Depth { profile, entry });
        }
        self.frames_left = self
            .frames_left
            .checked_sub(stack.len())
            .ok_or(SpeedscopeError::Frames { profile, entry })?;
        let weight = whole(weight).ok_or(SpeedscopeError::Weight {
            profile,
            entry,
            weight,
        })?;
        let mut labels = Vec::with_capacity(stack.len());
        for &frame in stack {
            let file_frame = self.frames.get(frame).ok_or(SpeedscopeError::Frame {
                profile,
                entry,
                frame,
            })?;
            labels.push(foreign(file_frame));
        }
        let (task, labels) = self.task(name, &labels);
        let frames = frames_of(&mut self.builder, labels);
        let stack = self.builder.stack(frames);
        self.builder.add(task, stack, &[weight]);
        Ok(())
    }

    /// Whose stack it is, and the rest of the stack.
    fn task<'b>(
        &mut self,
        name: &str,
        labels: &'b [ForeignLabel<'b>],
    ) -> (TaskIndex, &'b [ForeignLabel<'b>]) {
        let (pid, comm, rest) = match (self.ours, labels.split_first()) {
            (true, Some((thread, rest))) => (pid_of(name), thread.text, rest),
            _ => (Pid::default(), name, labels),
        };
        let task = Task {
            pid,
            tid: Tid::default(),
            comm: comm_of(comm),
            ..Task::default()
        };
        (self.builder.task(task), rest)
    }
}

/// The pid in `comm (pid)`, as this product names its profiles.
fn pid_of(name: &str) -> Pid {
    let inside = name
        .rsplit_once(" (")
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    Pid(inside.and_then(|pid| pid.parse().ok()).unwrap_or_default())
}

/// A frame of the file as a label.
fn foreign(frame: &FileFrame) -> ForeignLabel<'_> {
    ForeignLabel {
        text: &frame.name,
        file: frame.file.as_deref(),
        line: frame.line,
    }
}

/// Nearest whole number; `None` when negative, not a number or too large.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked first"
)]
fn whole(weight: f64) -> Option<u64> {
    (0.0..=WEIGHT_MAX)
        .contains(&weight)
        .then(|| weight.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::{super::SpeedscopeError, read};
    use crate::render::collapsed;

    /// A file of one profile around `rest`.
    fn file(rest: &str) -> Vec<u8> {
        let frames = r#"{"frames":[{"name":"main"},{"name":"work","file":"w.c","line":3}]}"#;
        format!(r#"{{"shared":{frames},"profiles":[{{"name":"app",{rest}}}]}}"#).into_bytes()
    }

    #[test]
    fn times_between_events_become_weights() {
        let events = r#""type":"evented","unit":"milliseconds","startValue":0,"endValue":9,"events":[
            {"type":"O","frame":0,"at":1},{"type":"O","frame":1,"at":3},
            {"type":"C","frame":1,"at":6.5},{"type":"C","frame":0,"at":7}]"#;
        let profile = read(&file(events)).unwrap();
        assert_eq!(
            "app;main 2500\napp;main;work 3500\n",
            collapsed::write(&profile)
        );
    }

    #[test]
    fn errors_name_profile_and_entry() {
        let head = r#""type":"sampled","unit":"none","startValue":0,"endValue":1"#;
        let stray = read(&file(&format!(
            r#"{head},"samples":[[0],[0,2]],"weights":[1,1]"#
        )));
        assert!(matches!(
            stray,
            Err(SpeedscopeError::Frame {
                profile: 0,
                entry: 1,
                frame: 2
            })
        ));
        let negative = read(&file(&format!(r#"{head},"samples":[[0]],"weights":[-1]"#)));
        assert!(matches!(negative, Err(SpeedscopeError::Weight { .. })));
        let short = read(&file(&format!(r#"{head},"samples":[[0]],"weights":[]"#)));
        assert!(matches!(
            short,
            Err(SpeedscopeError::Weights { weights: 0, .. })
        ));
    }

    #[test]
    fn closing_another_frame_is_an_error() {
        let events = r#""type":"evented","unit":"none","startValue":0,"endValue":9,"events":[
            {"type":"O","frame":0,"at":1},{"type":"C","frame":1,"at":3}]"#;
        let error = read(&file(events)).unwrap_err();
        assert!(matches!(error, SpeedscopeError::Nesting { entry: 1, .. }));
    }
}
