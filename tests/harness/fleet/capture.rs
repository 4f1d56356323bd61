//! A recording, as definitions and weights.

use std::{collections::HashMap, fs, path::Path};

use anyhow::Context as _;
use profiler::{
    model::{Batch, FrameDefinition, FrameId, StackDefinition},
    render::{self, Format},
};

/// Stacks of a recording with their weights.
#[derive(Debug)]
pub struct Capture {
    /// Frames by id.
    frames: HashMap<FrameId, FrameDefinition>,
    /// Stacks; the heaviest first.
    stacks: Vec<StackDefinition>,
    /// Sums of the weights up to and with each stack.
    sums: Vec<u64>,
}

impl Capture {
    /// The recording of a Rust build in `tests/captures`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn build() -> anyhow::Result<Self> {
        Self::open(Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/captures/build.pb.gz"
        )))
    }

    /// A recording in pprof's format.
    fn open(path: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        let profile = render::read(&bytes, Format::Pprof).context("read a capture")?;
        let batch = Batch::from_profile(&profile, 1);
        let mut weights: HashMap<_, u64> = HashMap::new();
        let samples = (batch.windows.iter())
            .flat_map(|window| &window.series)
            .flat_map(|series| &series.samples);
        for sample in samples {
            *weights.entry(sample.stack).or_default() +=
                sample.values.first().copied().unwrap_or(0);
        }
        let weight = |stack: &StackDefinition| weights.get(&stack.hash.id()).copied().unwrap_or(0);
        let mut stacks = batch.definitions.stacks;
        stacks.sort_by_key(|stack| std::cmp::Reverse((weight(stack), stack.hash)));
        let mut sum = 0;
        let sums = (stacks.iter())
            .map(|stack| {
                sum += weight(stack);
                sum
            })
            .collect();
        let frames = (batch.definitions.frames.into_iter())
            .map(|frame| (frame.hash.id(), frame))
            .collect();
        Ok(Self {
            frames,
            stacks,
            sums,
        })
    }

    /// How many stacks there are.
    pub fn stacks(&self) -> usize {
        self.stacks.len()
    }

    /// A stack by its place.
    pub(super) fn stack(&self, place: usize) -> Option<&StackDefinition> {
        self.stacks.get(place)
    }

    /// A frame of a stack.
    pub(super) fn frame(&self, id: FrameId) -> Option<&FrameDefinition> {
        self.frames.get(&id)
    }

    /// The place of the stack that a number picks, each as often as it was seen.
    pub(super) fn pick(&self, number: u64) -> usize {
        let sum = self.sums.last().copied().unwrap_or(1).max(1);
        self.sums.partition_point(|below| *below <= number % sum)
    }
}
