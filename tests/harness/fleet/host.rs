//! One host that is not there.

use std::{collections::HashSet, sync::Arc, time::Duration};

use profiler::model::{
    Batch, Definitions, FrameDefinition, FrameHash, FrameId, HostWindow, Labels, Quality,
    SeriesSamples, StackDefinition, StackHash, StackId, ValueType, WeightedStack, Window, label,
};

use super::Capture;

/// What the hosts are like.
#[derive(Clone, Copy, Debug)]
pub struct FleetShape {
    /// Services; each has code of its own.
    pub services: u32,
    /// Processes on a host. The first one takes half of the time.
    pub processes: u32,
    /// Distinct last lines of each stack of the capture.
    pub variants: u32,
    /// Samples of a window.
    pub samples: u32,
    /// Length of a window.
    pub window: Duration,
    /// Nanoseconds that a sample stands for.
    pub period_ns: u64,
}

impl Default for FleetShape {
    /// 16 CPUs, half busy, at 19 Hz, in windows of 10 s.
    fn default() -> Self {
        Self {
            services: 50,
            processes: 10,
            variants: 8,
            samples: 1_520,
            window: Duration::from_secs(10),
            period_ns: 1_000_000_000 / 19,
        }
    }
}

/// One sample: which process, which stack of the capture, which last line of it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Pick {
    process: u32,
    place: usize,
    variant: u32,
}

/// Delivers windows of one host, each when it is asked for.
#[derive(Debug)]
pub struct SimulatedHost {
    capture: Arc<Capture>,
    shape: FleetShape,
    number: u32,
    defined: HashSet<StackId>,
    defined_frames: HashSet<FrameId>,
}

impl SimulatedHost {
    /// The host of a number.
    pub fn new(capture: Arc<Capture>, shape: FleetShape, number: u32) -> Self {
        Self {
            capture,
            shape,
            number,
            defined: HashSet::new(),
            defined_frames: HashSet::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> String {
        format!("host-{:04}", self.number)
    }

    /// The window of a number, with the definitions that no earlier one had.
    pub fn batch(&mut self, window: u32, epoch: Duration) -> Batch {
        self.window_at(window, epoch + self.shape.window * window)
    }

    /// The window that starts at `start`. The same seed gives the same stacks.
    pub fn window_at(&mut self, seed: u32, start: Duration) -> Batch {
        let mut definitions = Definitions::default();
        let mut series = Vec::new();
        for picks in self.picks(seed).chunk_by(|a, b| a.process == b.process) {
            let Some(Pick { process, .. }) = picks.first().copied() else {
                continue;
            };
            series.push(SeriesSamples {
                labels: self.labels(process),
                samples: self.samples(self.service(process), picks, &mut definitions),
            });
        }
        let samples = u64::from(self.shape.samples);
        Batch {
            definitions,
            windows: vec![HostWindow {
                host: self.name(),
                signal: "cpu".to_owned(),
                span: Window {
                    start,
                    duration: self.shape.window,
                },
                value_types: vec![ValueType {
                    kind: "samples".to_owned(),
                    unit: "count".to_owned(),
                }],
                period_ns: self.shape.period_ns,
                series,
                quality: Quality {
                    samples,
                    complete: samples,
                    duty_cycle: 1.0,
                    ..Quality::default()
                },
            }],
        }
    }

    /// Goes on as another host. What was defined stays so: good for a receiver that takes the windows of
    /// all of them in order.
    pub fn go_on_as(&mut self, number: u32, shape: FleetShape) {
        self.number = number;
        self.shape = shape;
    }

    /// The samples of a window, equal ones side by side.
    fn picks(&self, seed: u32) -> Vec<Pick> {
        let mut chance = Chance(u64::from(self.number) << 32 | u64::from(seed) | 1 << 63);
        let pick = |_sample| Pick {
            process: self.process(&mut chance),
            place: self.capture.pick(chance.next()),
            // Half of the time the first line, a quarter of it the second …
            variant: chance.next().trailing_zeros() % self.shape.variants.max(1),
        };
        let mut picks: Vec<Pick> = (0..self.shape.samples).map(pick).collect();
        picks.sort_unstable();
        picks
    }

    /// The samples of one process, each stack once.
    fn samples(
        &mut self,
        service: u32,
        picks: &[Pick],
        definitions: &mut Definitions,
    ) -> Vec<WeightedStack> {
        let mut samples = Vec::new();
        for same in picks.chunk_by(|a, b| a == b) {
            if let Some(Pick { place, variant, .. }) = same.first().copied() {
                samples.push(WeightedStack {
                    stack: self.define(service, place, variant, definitions),
                    values: vec![same.len() as u64],
                });
            }
        }
        samples
    }

    /// A process; the first one half of the time.
    fn process(&self, chance: &mut Chance) -> u32 {
        let number = chance.next();
        if number & 1 == 0 || self.shape.processes < 2 {
            return 0;
        }
        let others = u64::from(self.shape.processes - 1);
        1 + u32::try_from((number >> 1) % others).unwrap_or(0)
    }

    /// The service that a process is part of.
    fn service(&self, process: u32) -> u32 {
        (self.number * 7 + process * 11) % self.shape.services.max(1)
    }

    /// Labels of a process.
    fn labels(&self, process: u32) -> Labels {
        let service = self.service(process);
        let pairs = [
            (label::HOST, self.name()),
            (label::SERVICE, format!("service-{service:02}")),
            (label::COMM, format!("worker-{service:02}")),
            (label::PID, (1000 + process).to_string()),
        ];
        (pairs.into_iter())
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// The id of a stack in a service, defined when it is new.
    fn define(
        &mut self,
        service: u32,
        place: usize,
        variant: u32,
        definitions: &mut Definitions,
    ) -> StackId {
        let Some(stack) = self.capture.stack(place) else {
            return StackId::default();
        };
        let own = u128::from(service) << 8 | u128::from(variant);
        let hash = StackHash(stack.hash.0 ^ spread(own + 1));
        if !self.defined.insert(hash.id()) {
            return hash.id();
        }
        let mut frames = Vec::with_capacity(stack.frames.len());
        for (depth, id) in stack.frames.iter().enumerate() {
            let Some(frame) = self.capture.frame(*id) else {
                continue;
            };
            let frame = in_service(frame, service, if depth == 0 { variant } else { 0 });
            let id = frame.hash.id();
            frames.push(id);
            if self.defined_frames.insert(id) {
                definitions.frames.push(frame);
            }
        }
        definitions.stacks.push(StackDefinition { hash, frames });
        hash.id()
    }
}

/// A frame as the code of a service has it: another file with the same names, and another line.
fn in_service(frame: &FrameDefinition, service: u32, variant: u32) -> FrameDefinition {
    let own = u128::from(service) << 8 | u128::from(variant);
    let mut frame = frame.clone();
    frame.hash = FrameHash(frame.hash.0 ^ spread(own + 1));
    frame.address += u64::from(variant);
    if let Some(object) = &mut frame.object {
        object.path = format!("/srv/{service:02}/{}", object.file_name());
        object.build_id = None;
    }
    frame
}

/// A number whose bits are all used.
fn spread(number: u128) -> u128 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

/// Numbers that look like chance and are the same in every run.
struct Chance(u64);

impl Chance {
    /// The next one.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc, time::Duration};

    use super::{Capture, FleetShape, SimulatedHost};

    #[test]
    fn the_same_numbers_give_the_same_batch_and_nothing_is_undefined() {
        let capture = Arc::new(Capture::build().unwrap());
        let mut host = SimulatedHost::new(Arc::clone(&capture), FleetShape::default(), 3);
        let first = host.batch(0, Duration::ZERO);
        let again = SimulatedHost::new(capture, FleetShape::default(), 3).batch(0, Duration::ZERO);
        assert_eq!(first, again);
        let frames: BTreeSet<_> = first
            .definitions
            .frames
            .iter()
            .map(|f| f.hash.id())
            .collect();
        let stacks: BTreeSet<_> = first
            .definitions
            .stacks
            .iter()
            .map(|s| s.hash.id())
            .collect();
        assert!(
            (first.definitions.stacks.iter())
                .flat_map(|stack| &stack.frames)
                .all(|frame| frames.contains(frame))
        );
        let samples = first.windows[0]
            .series
            .iter()
            .flat_map(|series| &series.samples);
        let mut total = 0;
        for sample in samples {
            assert!(stacks.contains(&sample.stack));
            total += sample.values[0];
        }
        assert_eq!(1_520, total);
        let second = host.batch(1, Duration::ZERO);
        assert!(second.definitions.stacks.len() < first.definitions.stacks.len());
    }
}
