//! Why a message was refused.

use std::fmt;

use super::limits;

/// A part of a batch that is bounded, or that something points into.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Table {
    /// Strings of a batch.
    Strings,
    /// Object files of a batch.
    Objects,
    /// Frames that a batch defines.
    Frames,
    /// Stacks that a batch defines.
    Stacks,
    /// Frames of one stack.
    Depth,
    /// Names of frames.
    Lines,
    /// Windows of a batch.
    Windows,
    /// Series of a batch.
    Series,
    /// Labels of one series.
    Labels,
    /// Value types of one window.
    ValueTypes,
    /// Values of a batch.
    Values,
    /// Causes and reasons of a quality.
    Causes,
    /// Processes of a burst.
    Pids,
}

impl Table {
    /// Most entries.
    pub fn entries_max(self) -> usize {
        match self {
            Self::Strings => limits::STRINGS_MAX,
            Self::Objects => limits::OBJECTS_MAX,
            Self::Frames => limits::FRAMES_MAX,
            Self::Stacks => limits::STACKS_MAX,
            Self::Depth => limits::STACK_DEPTH_FRAMES_MAX,
            Self::Lines => limits::LINES_MAX,
            Self::Windows => limits::WINDOWS_MAX,
            Self::Series => limits::SERIES_MAX,
            Self::Labels => limits::LABELS_MAX,
            Self::ValueTypes => limits::VALUE_TYPES_MAX,
            Self::Values => limits::VALUES_MAX,
            Self::Causes => limits::CAUSES_MAX,
            Self::Pids => limits::BURST_PIDS_MAX,
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strings => "strings",
            Self::Objects => "object files",
            Self::Frames => "frames",
            Self::Stacks => "stacks",
            Self::Depth => "frames in a stack",
            Self::Lines => "names of frames",
            Self::Windows => "windows",
            Self::Series => "series",
            Self::Labels => "labels",
            Self::ValueTypes => "value types",
            Self::Values => "values",
            Self::Causes => "causes of loss",
            Self::Pids => "processes",
        })
    }
}

/// Why a message was refused.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not protobuf from here on.
    #[error("not a protobuf message at byte {offset} of a part")]
    Framing {
        /// Bytes from the start of the innermost message.
        offset: usize,
    },
    /// A part is not what the definition says.
    #[error("not a message of profiler.v1")]
    Message(#[source] prost::DecodeError),
    /// The message is larger than any sender makes it.
    #[error("{found_bytes} bytes, at most {} fit", limits::MESSAGE_SIZE_BYTES_MAX)]
    TooLarge {
        /// Its size.
        found_bytes: usize,
    },
    /// A part has too many entries.
    #[error("more than {} {table}", .table.entries_max())]
    TooMany {
        /// Which part.
        table: Table,
    },
    /// A text is too long.
    #[error("{what} has {found_bytes} bytes, at most {bytes_max} fit")]
    TooLong {
        /// What the text is.
        what: &'static str,
        /// Its length.
        found_bytes: usize,
        /// Most bytes.
        bytes_max: usize,
    },
    /// Something that must not be empty is.
    #[error("{what} is empty")]
    Empty {
        /// What it is.
        what: &'static str,
    },
    /// An index points past the end.
    #[error("index {index} points past the {table}")]
    Dangling {
        /// Where it points.
        table: Table,
        /// The index.
        index: u32,
    },
    /// Labels are not sorted by name, or one is there twice.
    #[error("labels are not sorted by name, each once")]
    LabelOrder,
    /// Names and values of labels do not pair up.
    #[error("a label without a value")]
    LabelPairs,
    /// The same stack is twice in a series.
    #[error("stack {stack:#018x} is twice in a series")]
    StackTwice {
        /// Which one.
        stack: u64,
    },
    /// Values do not fit stacks and value types.
    #[error("{found} values for {stacks} stacks of {value_types} values")]
    Values {
        /// How many there are.
        found: usize,
        /// Stacks of the series.
        stacks: usize,
        /// Value types of the window.
        value_types: usize,
    },
    /// A number is outside of what it can be.
    #[error("{what} is {found}, which is out of range")]
    Range {
        /// What it is.
        what: &'static str,
        /// The number.
        found: u64,
    },
}
