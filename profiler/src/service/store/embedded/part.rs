//! Parts: immutable files of rows, and what the catalogue knows of each.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::service::store::column::Column;

/// What a part holds.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    /// Values by stack.
    Samples,
    /// Values without stack.
    Totals,
    /// Windows with their quality, by host.
    Hosts,
    /// Frames and stacks.
    Definitions,
}

impl Kind {
    /// Every kind, by its number in the catalogue.
    pub(super) const ALL: [Self; 4] = [Self::Samples, Self::Totals, Self::Hosts, Self::Definitions];

    /// Its folder.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Totals => "totals",
            Self::Hosts => "hosts",
            Self::Definitions => "definitions",
        }
    }

    /// Its number in the catalogue.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Samples => 0,
            Self::Totals => 1,
            Self::Hosts => 2,
            Self::Definitions => 3,
        }
    }
}

/// Length of the steps of a part's rows.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Resolution {
    /// Windows as they came.
    Raw,
    /// One minute.
    Minute,
    /// One hour.
    Hour,
    /// One hour, all series of a service added up: what a question about services reads, which has
    /// no more rows for a thousand hosts than for a few. Only of samples.
    Service,
}

impl Resolution {
    /// Every resolution, finest first.
    pub(super) const ALL: [Self; 4] = [Self::Raw, Self::Minute, Self::Hour, Self::Service];

    /// Nanoseconds of a step; one for windows as they came.
    pub(super) fn step_ns(self) -> u64 {
        match self {
            Self::Raw => 1,
            Self::Minute => 60_000_000_000,
            Self::Hour | Self::Service => HOUR_NS,
        }
    }

    /// Its number in the catalogue.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Minute => 1,
            Self::Hour => 2,
            Self::Service => 3,
        }
    }

    /// Its name in the names of files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Minute => "1m",
            Self::Hour => "1h",
            Self::Service => "1h_service",
        }
    }
}

/// Nanoseconds of a partition.
pub(super) const HOUR_NS: u64 = 3_600_000_000_000;

/// What the catalogue knows of a part.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PartFacts {
    /// File name in the folder of its kind.
    pub(super) name: String,
    /// What it holds.
    pub(super) kind: Kind,
    /// Length of its steps.
    pub(super) resolution: Resolution,
    /// 0 as flushed, 1 compacted.
    pub(super) level: u8,
    /// Which values; empty for hosts and definitions.
    pub(super) column: Column,
    /// Start of its hour in nanoseconds.
    pub(super) partition: u64,
    /// First moment of a row.
    pub(super) ts_min: u64,
    /// Last moment of a row.
    pub(super) ts_max: u64,
    /// Number of rows.
    pub(super) rows: u64,
    /// Size of the file.
    pub(super) size_bytes: u64,
}

/// A part that queries may be reading. Its file goes when the last of them is done.
#[derive(Debug)]
pub(super) struct Part {
    /// What it is.
    pub(super) facts: PartFacts,
    /// Its file.
    pub(super) path: PathBuf,
    /// Set when the catalogue does not have it any more.
    doomed: AtomicBool,
}

impl Part {
    /// A part below the store's folder.
    pub(super) fn new(root: &Path, facts: PartFacts) -> Arc<Self> {
        let path = path_of(root, facts.kind, &facts.name);
        let doomed = AtomicBool::new(false);
        Arc::new(Self {
            facts,
            path,
            doomed,
        })
    }

    /// Lets the file go with the last reader.
    pub(super) fn doom(&self) {
        self.doomed.store(true, Ordering::Release);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.doomed.load(Ordering::Acquire) {
            // What stays is swept at the next start.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Path of a part.
pub(super) fn path_of(root: &Path, kind: Kind, name: &str) -> PathBuf {
    root.join(kind.folder()).join(name)
}

/// The parts at one moment.
pub(super) type Parts = Arc<Vec<Arc<Part>>>;
