//! Batches for tests: some that are small, some that hold every kind of value, and endless ones.

use std::{collections::HashSet, time::Duration};

use crate::model::{
    Batch, BuildId, Definitions, FrameDefinition, FrameHash, FrameId, FrameKind, HostWindow,
    Labels, Location, Loss, Naming, ObjectFile, Quality, Reason, SeriesSamples, StackDefinition,
    StackHash, StackId, Truncation, ValueType, WeightedStack, Window,
};

/// Start of the hour in which test data begins, in seconds.
pub(super) const HOUR_SECONDS: u64 = 1_800_000_000;

/// A frame with a name.
pub(super) fn frame(number: u64) -> FrameDefinition {
    FrameDefinition {
        hash: FrameHash(hash(number)),
        kind: FrameKind::Native,
        object: Some(ObjectFile {
            path: format!("/usr/lib/lib{}.so", number % 7),
            build_id: BuildId::new(&[1, 2, 3]),
        }),
        address: number,
        naming: Naming::Named(vec![Location {
            function: format!("function_{number}"),
            file: Some("main.rs".to_owned()),
            line: Some(7),
        }]),
    }
}

/// A stack of some frames.
pub(super) fn stack(number: u64, frames: Vec<FrameId>) -> StackDefinition {
    let hash = StackHash(hash(number + 1_000_000));
    StackDefinition { hash, frames }
}

/// A hash for a number.
fn hash(number: u64) -> u128 {
    xxhash_rust::xxh3::xxh3_128(&number.to_le_bytes())
}

/// Labels from pairs.
pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// One host, one stack, the number as its value.
pub(super) fn small_batch(sequence: u64) -> Batch {
    let frame = frame(1);
    let stack = stack(1, vec![frame.hash.id()]);
    let samples = vec![WeightedStack {
        stack: stack.hash.id(),
        values: vec![sequence],
    }];
    let window = HostWindow {
        host: "one".to_owned(),
        signal: "cpu".to_owned(),
        span: Window {
            start: Duration::from_secs(HOUR_SECONDS + sequence * 10),
            duration: Duration::from_secs(10),
        },
        value_types: vec![ValueType {
            kind: "samples".to_owned(),
            unit: "count".to_owned(),
        }],
        period_ns: 10_000_000,
        series: vec![SeriesSamples {
            labels: labels(&[("host", "one"), ("service", "small")]),
            samples,
        }],
        quality: Quality {
            samples: sequence,
            ..Quality::default()
        },
    };
    Batch {
        definitions: Definitions {
            frames: vec![frame],
            stacks: vec![stack],
        },
        windows: vec![window],
    }
}

/// Every kind of value once.
pub(super) fn rich_batch() -> Batch {
    let mut batch = small_batch(3);
    let mut unnamed = frame(2);
    unnamed.kind = FrameKind::Jit;
    unnamed.object = None;
    unnamed.naming = Naming::Unnamed(Reason::KernelHidden);
    let mut plain = frame(3);
    plain.kind = FrameKind::Kernel;
    plain.object = Some(ObjectFile {
        path: "[kernel]".to_owned(),
        build_id: None,
    });
    plain.naming = Naming::Named(vec![Location::default(), Location::default()]);
    let ids = [&unnamed, &plain, &unnamed].map(|frame| frame.hash.id());
    batch.definitions.stacks.push(stack(2, ids.to_vec()));
    batch.definitions.stacks.push(stack(3, Vec::new()));
    batch.definitions.frames.extend([unnamed, plain]);
    batch.windows[0].quality = Quality {
        samples: u64::MAX,
        idle: 1,
        lost: [(Loss::RingFull, 1), (Loss::TableFull, 2)].into(),
        complete: 3,
        truncated: [(Truncation::Depth, 4), (Truncation::NoRegisters, 5)].into(),
        fallback: 6,
        frames: 7,
        frames_unnamed: 8,
        rate_asked_hz: 99.5,
        rate_effective_hz: 98.25,
        duty_cycle: 1.0,
        windows_lost: 9,
        overhead: 0.0,
    };
    batch
}

/// Numbers without pattern, the same in every run with the same seed.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// The numbers of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed << 32)
    }

    /// Below `sides`.
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 += 1;
        xxhash_rust::xxh3::xxh3_64(&self.0.to_le_bytes()) % sides
    }
}

/// Batches of a few hosts, services and signals over three hours. Each definition comes once.
#[derive(Debug)]
pub(super) struct Source {
    /// Chance.
    dice: Dice,
    /// Frames that were sent.
    frames: HashSet<FrameId>,
    /// Stacks that were sent.
    stacks: HashSet<StackId>,
}

impl Source {
    /// Batches of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            frames: HashSet::new(),
            stacks: HashSet::new(),
        }
    }

    /// The next batch.
    pub(super) fn batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        for _window in 0..=self.dice.roll(2) {
            let window = self.window(&mut batch.definitions);
            batch.windows.push(window);
        }
        batch
    }

    /// A window, and what it needs.
    fn window(&mut self, definitions: &mut Definitions) -> HostWindow {
        let host = format!("host-{}", self.dice.roll(3));
        let is_cpu = self.dice.roll(3) < 2;
        let signal = if is_cpu { "cpu" } else { "alloc" };
        let kinds: &[(&str, &str)] = if is_cpu {
            &[("samples", "count")]
        } else {
            &[("objects", "count"), ("space", "bytes")]
        };
        let seconds = HOUR_SECONDS + self.dice.roll(1080) * 10;
        let series = (0..=self.dice.roll(3))
            .map(|_series| self.series(&host, kinds.len(), definitions))
            .collect();
        HostWindow {
            signal: signal.to_owned(),
            span: Window {
                start: Duration::new(seconds, 123),
                duration: Duration::from_secs(10),
            },
            value_types: (kinds.iter())
                .map(|(kind, unit)| ValueType {
                    kind: (*kind).to_owned(),
                    unit: (*unit).to_owned(),
                })
                .collect(),
            period_ns: if is_cpu { 10_000_000 } else { 0 },
            series,
            quality: Quality {
                samples: self.dice.roll(1000),
                complete: self.dice.roll(1000),
                lost: [(Loss::RingFull, self.dice.roll(5) + 1)].into(),
                rate_asked_hz: 99.0,
                rate_effective_hz: 97.0,
                duty_cycle: 1.0,
                ..Quality::default()
            },
            host,
        }
    }

    /// A series of a host.
    fn series(
        &mut self,
        host: &str,
        values: usize,
        definitions: &mut Definitions,
    ) -> SeriesSamples {
        let service = format!("service-{}", self.dice.roll(4));
        let comm = format!("comm-{}", self.dice.roll(5));
        let mut labels = labels(&[("host", host), ("comm", &comm)]);
        if self.dice.roll(5) != 0 {
            labels.insert("service".to_owned(), service);
        }
        let samples = (0..=self.dice.roll(12)).map(|_sample| WeightedStack {
            stack: self.stack(definitions),
            values: (0..values).map(|_value| self.dice.roll(100)).collect(),
        });
        let samples = samples.collect();
        SeriesSamples { labels, samples }
    }

    /// A stack, defined if it was not before.
    fn stack(&mut self, definitions: &mut Definitions) -> StackId {
        let number = self.dice.roll(60);
        let frames: Vec<FrameDefinition> = (0..=number % 9).map(|n| frame(n * number)).collect();
        let ids = frames.iter().map(|frame| frame.hash.id()).collect();
        for frame in frames {
            if self.frames.insert(frame.hash.id()) {
                definitions.frames.push(frame);
            }
        }
        let stack = stack(number, ids);
        let id = stack.hash.id();
        if self.stacks.insert(id) {
            definitions.stacks.push(stack);
        }
        id
    }
}
