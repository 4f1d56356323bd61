//! What a service did, as values.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use super::statistics::to_f64;
use crate::model::{FrameKind, StackId};

/// Most kinds of values that a signal has.
pub(super) const KINDS_MAX: usize = 4;

/// A function and where it is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Site {
    /// Demangled name, or what stands for one: a call, an endpoint, a thread.
    pub function: Arc<str>,
    /// Source file; empty when unknown.
    pub file: Arc<str>,
    /// The heaviest line, from 1; zero when unknown.
    pub line: u32,
    /// Object file, without its folders.
    pub module: Arc<str>,
    /// Where the code came from.
    pub kind: FrameKind,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            function: "".into(),
            file: "".into(),
            line: 0,
            module: "".into(),
            kind: FrameKind::Native,
        }
    }
}

impl Site {
    /// Something that is no code: a thread, an endpoint.
    pub fn thing(name: &str) -> Self {
        Self {
            function: name.into(),
            ..Self::default()
        }
    }

    /// Whether this is code that a developer of the service may have written.
    pub(super) fn is_user_code(&self) -> bool {
        matches!(self.kind, FrameKind::Native | FrameKind::Jit)
    }
}

/// One stack with what it weighs.
#[derive(Clone, Debug, Default)]
pub struct Path {
    /// Which stack.
    pub stack: StackId,
    /// Places in [`SignalTable::sites`], outermost first.
    pub sites: Box<[u32]>,
    /// By kind of value, in the order of the signal's conventions.
    pub values: [u64; KINDS_MAX],
    /// By kind of value: the same divided into slices of time; empty where it was not divided.
    pub slices: [Box<[u64]>; KINDS_MAX],
}

/// Weighted stacks of one signal.
#[derive(Clone, Debug, Default)]
pub struct SignalTable {
    /// What levels are called.
    pub sites: Vec<Site>,
    /// The stacks.
    pub paths: Vec<Path>,
}

/// What some stacks weigh together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Weight {
    /// By kind of value.
    pub(super) values: [f64; KINDS_MAX],
    /// By kind of value and slice.
    pub(super) slices: [Vec<f64>; KINDS_MAX],
}

impl Weight {
    /// Adds a stack.
    fn add(&mut self, path: &Path) {
        for (sum, value) in self.values.iter_mut().zip(path.values) {
            *sum += number(value);
        }
        for (sums, values) in self.slices.iter_mut().zip(&path.slices) {
            sums.resize(sums.len().max(values.len()), 0.0);
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += number(*value);
            }
        }
    }
}

impl SignalTable {
    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// What a level is called.
    pub(super) fn site(&self, number: u32) -> &Site {
        &self.sites[number as usize]
    }

    /// Everything together.
    pub(super) fn whole(&self) -> Weight {
        let mut weight = Weight::default();
        for path in &self.paths {
            weight.add(path);
        }
        weight
    }

    /// Stacks by a level of theirs; those that have none are left out.
    pub(super) fn by(&self, level: impl Fn(&Path) -> Option<u32>) -> HashMap<u32, Weight> {
        let mut weights: HashMap<u32, Weight> = HashMap::new();
        for path in &self.paths {
            if let Some(site) = level(path) {
                weights.entry(site).or_default().add(path);
            }
        }
        weights
    }

    /// The stacks that fit, together.
    pub(super) fn of(&self, fits: impl Fn(&Path) -> bool) -> Weight {
        let mut weight = Weight::default();
        for path in self.paths.iter().filter(|path| fits(path)) {
            weight.add(path);
        }
        weight
    }

    /// What each level is called, outermost first.
    pub(super) fn names<'a>(&'a self, path: &'a Path) -> impl DoubleEndedIterator<Item = &'a Site> {
        path.sites.iter().map(|site| self.site(*site))
    }

    /// Parts and wholes of one kind of value by slice; one slice where it was not divided.
    pub(super) fn parts(part: &Weight, whole: &Weight, kind: usize) -> Vec<(f64, f64)> {
        if whole.slices[kind].is_empty() {
            return vec![(part.values[kind], whole.values[kind])];
        }
        let of_part = |slice: usize| part.slices[kind].get(slice).copied().unwrap_or_default();
        let wholes = whole.slices[kind].iter().enumerate();
        wholes
            .map(|(slice, whole)| (of_part(slice), *whole))
            .collect()
    }
}

/// How much CPU one thread took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ThreadUse {
    /// Process, as text.
    pub pid: String,
    /// Name of the thread.
    pub thread: String,
    /// CPU time, in nanoseconds, by slice of time.
    pub cpu_ns: Vec<f64>,
    /// Time in which it waited for a CPU, the same way.
    pub queued_ns: Vec<f64>,
}

/// What a service did in a span of time.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Value of the label `service`; empty when it is about none.
    pub service: String,
    /// What selects this data, in `PromQL`'s style.
    pub selector: String,
    /// Start of the span of time, since the Unix epoch.
    pub start: Duration,
    /// Time in which data was taken.
    pub span: Duration,
    /// Nanoseconds that one sample of `cpu` stands for.
    pub cpu_period_ns: f64,
    /// `[samples]`
    pub cpu: SignalTable,
    /// `[delay ns, events]` by reason.
    pub off_cpu: BTreeMap<String, SignalTable>,
    /// `[run-queue ns]` of whatever thread waited for a CPU.
    pub run_queue: SignalTable,
    /// Threads by CPU time.
    pub threads: Vec<ThreadUse>,
    /// `[ns, calls]`; the innermost level is the call.
    pub syscall: SignalTable,
    /// `[calls, ns]`; levels are call, outcome, length.
    pub syscall_counts: SignalTable,
    /// `[bytes allocated, objects allocated, bytes freed, objects freed]`
    pub alloc: SignalTable,
    /// `[faults, bytes]`
    pub page_fault: SignalTable,
    /// `[ns, events]`
    pub tcp: SignalTable,
    /// `[events, ns, bytes]`; levels are endpoint, side, measure, length.
    pub tcp_counts: SignalTable,
}

impl Evidence {
    /// Length of the span of time, in seconds; never zero.
    pub(super) fn seconds(&self) -> f64 {
        self.span.as_secs_f64().max(1e-9)
    }

    /// CPU time, in nanoseconds.
    pub(super) fn cpu_ns(&self) -> f64 {
        self.cpu.whole().values[0] * self.cpu_period_ns
    }

    /// Mean number of CPUs in use.
    pub(super) fn cores(&self) -> f64 {
        self.cpu_ns() / 1e9 / self.seconds()
    }
}

/// Nearest floating-point number.
#[expect(
    clippy::cast_precision_loss,
    reason = "weights of samples; 53 bits are plenty"
)]
pub(super) fn number(value: u64) -> f64 {
    value as f64
}

/// Length of a slice of an evenly divided span, in seconds.
pub(super) fn slice_seconds(span: Duration, slices: usize) -> f64 {
    span.as_secs_f64() / to_f64(slices.max(1))
}
