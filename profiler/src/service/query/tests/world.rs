//! A store that is filled window by window, for the tests that look at several signals.

use std::{sync::Arc, time::Duration};

use crate::{
    model::{
        Batch, FrameKind, Location, Naming, Pid, ProfileBuilder, SenderId, Task, TimeRange,
        ValueType,
    },
    service::{
        query::Reader,
        store::{MemoryStore, Store},
    },
};

/// Start of the first window.
pub(super) const START: Duration = Duration::from_secs(1_600_000_000);

/// Kinds of values of a signal.
pub(super) type Kinds = &'static [(&'static str, &'static str)];
/// CPU time.
pub(super) const CPU: Kinds = &[("samples", "count"), ("cpu", "nanoseconds")];
/// Time off the CPU.
pub(super) const OFF_CPU: Kinds = &[
    ("delay", "nanoseconds"),
    ("events", "count"),
    ("runqueue", "nanoseconds"),
];
/// System calls by stack.
pub(super) const SYSCALL: Kinds = &[("time", "nanoseconds"), ("calls", "count")];
/// Allocations.
pub(super) const ALLOC: Kinds = &[
    ("alloc_space", "bytes"),
    ("alloc_objects", "count"),
    ("free_space", "bytes"),
    ("free_objects", "count"),
];
/// System calls, counted.
pub(super) const SYSCALL_COUNTS: Kinds = &[("calls", "count"), ("time", "nanoseconds")];
/// Network measures.
pub(super) const TCP_COUNTS: Kinds = &[
    ("events", "count"),
    ("time", "nanoseconds"),
    ("transferred", "bytes"),
];

/// A store that is filled window by window.
#[derive(Default)]
pub(super) struct World {
    pub(super) store: Arc<MemoryStore>,
    sequence: u64,
}

impl World {
    /// Adds ten seconds of a signal that begin at a second: stacks, outermost first, with values.
    pub(super) fn add(
        &mut self,
        second: u64,
        (signal, kinds): (&str, Kinds),
        labels: &[(&str, &str)],
        stacks: &[(&str, &[u64])],
    ) {
        let value_type = |(kind, unit): &(&str, &str)| ValueType {
            kind: (*kind).to_owned(),
            unit: (*unit).to_owned(),
        };
        let mut builder = ProfileBuilder::new(kinds.iter().map(value_type).collect());
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let task = builder.task(Task {
            pid: Pid(7),
            comm: "app".to_owned(),
            labels: labels.iter().map(owned).collect(),
            ..Task::default()
        });
        for (stack, values) in stacks {
            let frames = stack.split(';').rev().map(|name| {
                let naming = Naming::Named(vec![Location {
                    function: name.to_owned(),
                    file: Some(format!("src/{name}.c")),
                    line: Some(u32::try_from(name.len()).unwrap()),
                }]);
                builder.frame(FrameKind::Native, None, 1, naming)
            });
            let frames = frames.collect();
            let stack = builder.stack(frames);
            builder.add(task, stack, values);
        }
        let head = builder.head_mut();
        head.host = "one".to_owned();
        head.window.start = START + Duration::from_secs(second);
        head.window.duration = Duration::from_secs(10);
        let mut batch = Batch::from_profile(&builder.finish(), 0);
        signal.clone_into(&mut batch.windows[0].signal);
        self.sequence += 1;
        self.store
            .append(SenderId(1), self.sequence, batch)
            .unwrap();
    }

    /// Adds a window of CPU time without samples that tells of lost windows.
    pub(super) fn lose(&mut self, second: u64, windows_lost: u64) {
        let value_type = |(kind, unit): &(&str, &str)| ValueType {
            kind: (*kind).to_owned(),
            unit: (*unit).to_owned(),
        };
        let mut builder = ProfileBuilder::new(CPU.iter().map(value_type).collect());
        let head = builder.head_mut();
        head.host = "one".to_owned();
        head.window.start = START + Duration::from_secs(second);
        head.window.duration = Duration::from_secs(10);
        head.quality.windows_lost = windows_lost;
        let batch = Batch::from_profile(&builder.finish(), 0);
        self.sequence += 1;
        self.store
            .append(SenderId(1), self.sequence, batch)
            .unwrap();
    }

    /// A reader of what is there.
    pub(super) fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.store) as Arc<dyn Store>)
    }
}

/// A span of seconds.
pub(super) fn seconds(start: u64, end: u64) -> TimeRange {
    TimeRange {
        start: START + Duration::from_secs(start),
        end: START + Duration::from_secs(end),
    }
}
