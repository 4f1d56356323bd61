//! Counting.

use std::collections::{BTreeMap, HashMap};

use super::{limits::STACKS_MAX, place::Place};
use crate::model::{LabelSet, Loss, Pid, StackEnd, StackSample, Task, Tid, Truncation, UserFrame};

/// A stack of a task with the number of its samples.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CountedStack {
    /// Place in [`Window::tasks`].
    pub task: u32,
    /// Place in [`Window::stacks`].
    pub stack: u32,
    /// Samples.
    pub count: u64,
}

/// What tells threads apart: their numbers, name and labels.
type ThreadKey = (Pid, Tid, String, LabelSet);

/// Samples counted since the window began.
#[derive(Debug, Default)]
pub struct Window {
    tasks: Interner<ThreadKey>,
    stacks: Interner<Box<[Place]>>,
    counts: HashMap<(u32, u32), u64>,
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
}

impl Window {
    /// Counts a sample. Bare frames have been located already where that was possible.
    pub fn add(&mut self, sample: &StackSample, labels: LabelSet) {
        let task = (self.tasks).intern((sample.pid, sample.tid, sample.comm.clone(), labels));
        let stack = self.stacks.intern(places(sample).into());
        let (Some(task), Some(stack)) = (task, stack) else {
            self.lose(Loss::TableFull);
            return;
        };
        *self.counts.entry((task, stack)).or_default() += 1;
        self.samples += 1;
        self.fallback += u64::from(sample.fallback);
        match sample.end {
            StackEnd::Complete | StackEnd::NoUserStack => self.complete += 1,
            StackEnd::Truncated(reason) => *self.truncated.entry(reason).or_default() += 1,
        }
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

    /// Distinct stacks, innermost frame first.
    pub fn stacks(&self) -> &[Box<[Place]>] {
        &self.stacks.values
    }

    /// The counts, in the order of stacks and tasks.
    pub fn counts(&self) -> Vec<CountedStack> {
        let mut counts: Vec<_> = (self.counts.iter())
            .map(|((task, stack), count)| CountedStack {
                task: *task,
                stack: *stack,
                count: *count,
            })
            .collect();
        counts.sort_unstable_by_key(|counted| (counted.stack, counted.task));
        counts
    }
}

/// The places of a sample, innermost first: kernel, user, and the mark of a cut.
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
    kernel
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
    fn intern(&mut self, value: T) -> Option<u32> {
        if let Some(number) = self.numbers.get(&value) {
            return Some(*number);
        }
        if STACKS_MAX <= self.values.len() {
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
        Avma, FileOffset, LabelSet, ObjectId, Pid, StackEnd, StackSample, Tid, Truncation,
        UserFrame,
    };

    fn sample(end: StackEnd, offset: u64) -> StackSample {
        StackSample {
            taken_at: Duration::ZERO,
            pid: Pid(1),
            tid: Tid(2),
            comm: "worker".to_owned(),
            cgroup_id: 0,
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
            .map(|counted| counted.count)
            .collect();
        assert_eq!(vec![3, 1], counts);
        assert_eq!((4, 4), (window.samples, window.complete));
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
