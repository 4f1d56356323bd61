//! Counting.

use std::collections::{BTreeMap, HashMap};

use super::{
    limits::{STACKS_CRAMPED_MAX, STACKS_MAX},
    place::Place,
};
use crate::model::{
    LabelSet, Loss, Measured, Pid, Signal, StackEnd, StackSample, Task, Tid, Truncation, UserFrame,
    Values, Wait,
};

/// A stack of a task with the number of its samples.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CountedStack {
    /// Place in [`Window::tasks`].
    pub task: u32,
    /// Place in [`Window::stacks`].
    pub stack: u32,
    /// How the thread left the CPU, when it did.
    pub wait: Option<Wait>,
    /// On the CPU: samples. Else the values of the signal, in the order of its value types.
    pub values: Values,
}

/// What tells threads apart: their numbers, name and labels.
type ThreadKey = (Pid, Tid, String, LabelSet);

/// Place of the task, place of the stack, and how the thread left the CPU.
type CountKey = (u32, u32, Option<Wait>);

/// Samples counted since the window began.
#[derive(Debug, Default)]
pub struct Window {
    tasks: Interner<ThreadKey>,
    stacks: Interner<Box<[Place]>>,
    counts: HashMap<CountKey, Values>,
    /// What was watched.
    pub signal: Signal,
    /// Samples kept.
    pub samples: u64,
    /// Samples whose stack is complete.
    pub complete: u64,
    /// Samples with a cut stack, by reason.
    pub truncated: BTreeMap<Truncation, u64>,
    /// Samples with at least one frame from the frame-pointer fallback.
    pub fallback: u64,
    /// Samples of tasks that the rules of the labels leave out.
    pub filtered: u64,
    /// Samples lost here.
    pub lost: BTreeMap<Loss, u64>,
    /// Whether it holds fewer stacks than usual, to spare memory.
    pub is_cramped: bool,
    /// What rounding left over of weighted values, for the next sample.
    rest: [f64; VALUES],
}

/// Weights are quotients of sums of seconds, which are off by less than this in binary. Nothing is
/// thinned by so little, and what is counted exactly must stay so.
const WEIGHT_ERROR_MAX: f64 = 1e-9;

/// Values of a sample.
const VALUES: usize = size_of::<Values>() / size_of::<u64>();

impl Window {
    /// An empty window of a signal.
    pub fn new(signal: Signal) -> Self {
        Self {
            signal,
            ..Self::default()
        }
    }

    /// Counts a sample that stands for itself alone.
    pub fn add(&mut self, sample: &StackSample, labels: LabelSet) {
        self.add_weighted(sample, labels, 1.0);
    }

    /// Counts a sample that stands for `weight` of its kind. Bare frames have been located already
    /// where that was possible.
    pub fn add_weighted(&mut self, sample: &StackSample, labels: LabelSet, weight: f64) {
        let room = self.room();
        let task = (sample.pid, sample.tid, sample.comm.clone(), labels);
        let task = self.tasks.intern(task, room);
        let stack = self.stacks.intern(places(sample).into(), room);
        let (Some(task), Some(stack)) = (task, stack) else {
            self.lose(Loss::TableFull);
            return;
        };
        let (wait, mut values) = values(sample.measured);
        self.weigh(&mut values, weight);
        let sums = self.counts.entry((task, stack, wait)).or_default();
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = sum.saturating_add(value);
        }
        self.samples += 1;
        self.fallback += u64::from(sample.fallback);
        match sample.end {
            StackEnd::Complete | StackEnd::NoUserStack => self.complete += 1,
            StackEnd::Truncated(reason) => *self.truncated.entry(reason).or_default() += 1,
        }
    }

    /// Distinct stacks, and threads, that it has room for.
    fn room(&self) -> usize {
        if self.is_cramped {
            STACKS_CRAMPED_MAX
        } else {
            STACKS_MAX
        }
    }

    /// Multiplies values. What is lost in rounding to integers is given to the next ones, so that
    /// sums are right.
    fn weigh(&mut self, values: &mut Values, weight: f64) {
        if (weight - 1.0).abs() < WEIGHT_ERROR_MAX {
            return;
        }
        for (value, rest) in values.iter_mut().zip(&mut self.rest) {
            let exact = scaled(*value, weight) + *rest;
            *value = floor(exact);
            *rest = exact - scaled(*value, 1.0);
        }
    }

    /// Has everything counted so far stand for `weight` times as much.
    pub fn scale(&mut self, weight: f64) {
        let mut counts = std::mem::take(&mut self.counts);
        for values in counts.values_mut() {
            self.weigh(values, weight);
        }
        self.counts = counts;
    }

    /// Counts a sample that was lost.
    pub fn lose(&mut self, loss: Loss) {
        self.lose_many(loss, 1);
    }

    /// Counts samples that were lost.
    pub fn lose_many(&mut self, loss: Loss, count: u64) {
        if 0 < count {
            *self.lost.entry(loss).or_default() += count;
        }
    }

    /// Threads that were seen.
    pub fn tasks(&self) -> Vec<Task> {
        let task = |(pid, tid, comm, labels): &ThreadKey| Task {
            pid: *pid,
            tid: *tid,
            comm: comm.clone(),
            labels: labels.labels().clone(),
        };
        self.tasks.values.iter().map(task).collect()
    }

    /// Place in [`Self::stacks`] of the stack of a sample, if one like it was counted.
    pub fn stack_of(&self, sample: &StackSample) -> Option<u32> {
        self.stacks.numbers.get(places(sample).as_slice()).copied()
    }

    /// Distinct stacks, innermost frame first.
    pub fn stacks(&self) -> &[Box<[Place]>] {
        &self.stacks.values
    }

    /// The counts, in the order of stacks and tasks.
    pub fn counts(&self) -> Vec<CountedStack> {
        let mut counts: Vec<_> = (self.counts.iter())
            .map(|((task, stack, wait), values)| CountedStack {
                task: *task,
                stack: *stack,
                wait: *wait,
                values: *values,
            })
            .collect();
        counts.sort_unstable_by_key(|counted| (counted.stack, counted.task, counted.wait));
        counts
    }
}

/// The values of a sample, and how its thread left the CPU.
fn values(measured: Measured) -> (Option<Wait>, Values) {
    /// 584 years of waiting.
    const FOR_EVER: u64 = u64::MAX;
    match measured {
        Measured::OnCpu => (None, [1, 0, 0, 0]),
        Measured::OffCpu {
            wait,
            delay,
            events,
            run_queue,
        } => {
            let ns = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(FOR_EVER);
            (Some(wait), [ns(delay), events, ns(run_queue), 0])
        }
        // Whoever follows allocations weighs them first; alone, each stands for itself.
        Measured::Allocated(allocation) => (None, [allocation.size_bytes, 1, 0, 0]),
        Measured::Freed { .. } => (None, Values::default()),
        Measured::Counted { values, .. } => (None, values),
    }
}

/// A value times a weight.
#[expect(
    clippy::cast_precision_loss,
    reason = "a relative error of 2^-53 in a value"
)]
fn scaled(value: u64, weight: f64) -> f64 {
    value as f64 * weight
}

/// The integer below a number that is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts of floating-point numbers saturate"
)]
fn floor(exact: f64) -> u64 {
    exact.floor() as u64
}

/// The places of a sample, innermost first: what it is about, kernel, user, and the mark of a cut.
fn places(sample: &StackSample) -> Vec<Place> {
    let cut = match sample.end {
        StackEnd::Truncated(reason) => Some(reason),
        StackEnd::Complete | StackEnd::NoUserStack => None,
    };
    let last = sample.user.len().saturating_sub(1);
    let user = sample
        .user
        .iter()
        .enumerate()
        .map(|(index, frame)| match *frame {
            UserFrame::Object { object, offset } => Place::Object { object, offset },
            UserFrame::Bare(address) if cut == Some(Truncation::Unmapped) && index == last => {
                Place::Unmapped { address }
            }
            UserFrame::Bare(address) => Place::Bare {
                pid: sample.pid,
                address,
            },
        });
    let kernel = sample
        .kernel
        .iter()
        .map(|address| Place::Kernel { address: *address });
    let about = sample.about.iter();
    (about.map(|subject| Place::Subject(*subject)))
        .chain(kernel)
        .chain(user)
        .chain(cut.map(|_reason| Place::Cut))
        .collect()
}

/// Values with numbers in the order of their first appearance.
#[derive(Debug)]
struct Interner<T> {
    numbers: HashMap<T, u32>,
    values: Vec<T>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            values: Vec::new(),
        }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Interner<T> {
    /// The number of a value; `None` when it is new and there is no room.
    fn intern(&mut self, value: T, room: usize) -> Option<u32> {
        if let Some(number) = self.numbers.get(&value) {
            return Some(*number);
        }
        if room <= self.values.len() {
            return None;
        }
        let number = u32::try_from(self.values.len()).ok()?;
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Place, Window};
    use crate::model::{
        Avma, FileOffset, LabelSet, Measured, ObjectId, Pid, Signal, StackEnd, StackSample, Tid,
        Truncation, UserFrame, Wait,
    };

    fn sample(end: StackEnd, offset: u64) -> StackSample {
        StackSample {
            taken_at: Duration::ZERO,
            pid: Pid(1),
            tid: Tid(2),
            comm: "worker".to_owned(),
            cgroup_id: 0,
            measured: Measured::OnCpu,
            about: Vec::new(),
            user: vec![UserFrame::Object {
                object: ObjectId(1),
                offset: FileOffset(offset),
            }],
            kernel: vec![Avma(9)],
            end,
            fallback: false,
        }
    }

    #[test]
    fn counts_equal_stacks_once() {
        let mut window = Window::default();
        for offset in [1, 2, 1, 1] {
            window.add(&sample(StackEnd::Complete, offset), LabelSet::default());
        }
        let counts: Vec<u64> = window
            .counts()
            .iter()
            .map(|counted| counted.values[0])
            .collect();
        assert_eq!(vec![3, 1], counts);
        assert_eq!((4, 4), (window.samples, window.complete));
    }

    #[test]
    fn weighted_samples_add_up_to_their_weight() {
        let mut window = Window::default();
        for offset in 0..1_000 {
            let sample = sample(StackEnd::Complete, offset % 7);
            window.add_weighted(&sample, LabelSet::default(), 3.4);
        }
        let sum = |window: &Window| {
            let counts = window.counts().into_iter();
            counts.map(|counted| counted.values[0]).sum::<u64>()
        };
        assert!((3_399..=3_400).contains(&sum(&window)), "{}", sum(&window));
        assert_eq!(1_000, window.samples, "those that were kept");
        window.scale(2.5);
        assert!((8_497..=8_500).contains(&sum(&window)), "{}", sum(&window));
    }

    #[test]
    fn what_is_nearly_whole_is_counted_exactly() {
        let mut window = Window::new(Signal::Cpu);
        for weight in [1.0 - 1e-15, 1.0, 1.0 + 1e-15] {
            window.add_weighted(&sample(StackEnd::Complete, 1), LabelSet::default(), weight);
        }
        window.scale(1.0 - 1e-15);
        assert_eq!(
            vec![3],
            window
                .counts()
                .iter()
                .map(|counted| counted.values[0])
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn waits_are_summed_apart_from_preemptions() {
        let mut window = Window::new(Signal::OffCpu);
        for (wait, ms) in [(Wait::Blocked, 1), (Wait::Runnable, 2), (Wait::Blocked, 4)] {
            let measured = Measured::OffCpu {
                wait,
                delay: Duration::from_millis(ms),
                events: 3,
                run_queue: Duration::from_micros(ms),
            };
            let sample = StackSample {
                measured,
                ..sample(StackEnd::Complete, 1)
            };
            window.add(&sample, LabelSet::default());
        }
        let counts: Vec<_> = (window.counts().iter())
            .map(|counted| (counted.wait, counted.values))
            .collect();
        let expected = vec![
            (Some(Wait::Blocked), [5_000_000, 6, 5_000, 0]),
            (Some(Wait::Runnable), [2_000_000, 3, 2_000, 0]),
        ];
        assert_eq!(expected, counts);
    }

    #[test]
    fn a_cut_stack_carries_its_mark_outermost() {
        let mut window = Window::default();
        let cut = sample(StackEnd::Truncated(Truncation::Depth), 1);
        window.add(&cut, LabelSet::default());
        let stack = &window.stacks()[0];
        assert_eq!(Some(&Place::Kernel { address: Avma(9) }), stack.first());
        assert_eq!(Some(&Place::Cut), stack.last());
        assert_eq!(Some(&1), window.truncated.get(&Truncation::Depth));
    }
}
