//! The file format of <https://www.speedscope.app>: one profile a process, heaviest first.
//!
//! Each process is one `sampled` profile, its threads are the outermost frames.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod read;
mod write;

use serde::{Deserialize, Serialize};

use super::limits::{FRAMES_READ_MAX, STACK_DEPTH_MAX};

pub(super) use self::{read::read, write::write};

/// Value of the field `$schema`.
const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";
/// Value of the field `exporter`, before the version.
const EXPORTER: &str = "profiler";

/// Why a speedscope file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SpeedscopeError {
    /// Not JSON, or not the fields expected. The message carries line and column.
    #[error("not a speedscope file")]
    Syntax(#[source] serde_json::Error),
    /// A profile names a frame past the list of frames.
    #[error("profile {profile}, entry {entry}: frame {frame} does not exist")]
    Frame {
        /// Which profile, from 0.
        profile: usize,
        /// Which sample or event, from 0.
        entry: usize,
        /// The index that points past the end.
        frame: usize,
    },
    /// Stacks and weights do not pair up.
    #[error("profile {profile}: {samples} samples but {weights} weights")]
    Weights {
        /// Which profile, from 0.
        profile: usize,
        /// Number of stacks.
        samples: usize,
        /// Number of weights.
        weights: usize,
    },
    /// A weight or time is negative or not a number that fits.
    #[error("profile {profile}, entry {entry}: weight {weight} is out of range")]
    Weight {
        /// Which profile, from 0.
        profile: usize,
        /// Which sample or event, from 0.
        entry: usize,
        /// What it said.
        weight: f64,
    },
    /// A function ends that is not the innermost one.
    #[error("profile {profile}, entry {entry}: closes a frame that is not the innermost one")]
    Nesting {
        /// Which profile, from 0.
        profile: usize,
        /// Which event, from 0.
        entry: usize,
    },
    /// A stack is deeper than any real one.
    #[error("profile {profile}, entry {entry}: more than {STACK_DEPTH_MAX} frames")]
    Depth {
        /// Which profile, from 0.
        profile: usize,
        /// Which sample or event, from 0.
        entry: usize,
    },
    /// The stacks of the file are longer together than any real ones.
    #[error("profile {profile}, entry {entry}: more than {FRAMES_READ_MAX} frames in all stacks")]
    Frames {
        /// Which profile, from 0.
        profile: usize,
        /// Which sample or event, from 0.
        entry: usize,
    },
    /// The profiles count different things.
    #[error("profile {profile} counts {found}, the first one counts {first}")]
    MixedUnits {
        /// Which profile, from 0.
        profile: usize,
        /// Its unit.
        found: &'static str,
        /// The unit of the first profile.
        first: &'static str,
    },
}

/// The whole file.
#[derive(Debug, Deserialize, Serialize)]
struct File {
    #[serde(rename = "$schema", default)]
    schema: String,
    #[serde(default)]
    exporter: Option<String>,
    #[serde(default)]
    name: Option<String>,
    shared: Shared,
    profiles: Vec<FileProfile>,
}

/// What all profiles of a file share.
#[derive(Debug, Deserialize, Serialize)]
struct Shared {
    frames: Vec<FileFrame>,
}

/// One frame.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Deserialize, Serialize)]
struct FileFrame {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

/// One profile, in either of the format's two forms.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum FileProfile {
    /// Stacks with weights; outermost frame first.
    Sampled(Sampled),
    /// Functions that open and close.
    Evented(Evented),
}

/// Stacks with weights.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sampled {
    name: String,
    unit: FileUnit,
    start_value: f64,
    end_value: f64,
    samples: Vec<Vec<usize>>,
    weights: Vec<f64>,
}

/// Functions that open and close.
#[derive(Debug, Deserialize, Serialize)]
struct Evented {
    name: String,
    unit: FileUnit,
    events: Vec<Event>,
}

/// A function opens or closes.
#[derive(Debug, Deserialize, Serialize)]
struct Event {
    #[serde(rename = "type")]
    edge: Edge,
    frame: usize,
    at: f64,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
enum Edge {
    /// The function opens.
    #[serde(rename = "O")]
    Open,
    /// The function closes.
    #[serde(rename = "C")]
    Close,
}

/// Units the format knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum FileUnit {
    /// Plain counts.
    None,
    /// Nanoseconds.
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}
