//! Samples into the window that they were taken in.

use std::time::Duration;

use super::{
    aggregate::Window,
    bursts::Targets,
    labels::{Labeler, Program},
    process::ProcessTable,
    scheduler_text::SchedulerText,
};
use crate::model::{LabelSet, Loss, Measured, Pid, Signal, StackSample, UserFrame};

/// What is counted at the same time.
#[derive(Debug)]
pub(super) struct WindowSet {
    /// One window of each signal, in the order of [`Signal::WATCHED`].
    pub(super) each: [Window; Signal::WATCHED.len()],
    /// Time on the CPU of the targets of a burst, which are sampled more often than all others.
    pub(super) burst: Window,
}

impl Default for WindowSet {
    fn default() -> Self {
        Self {
            each: Signal::WATCHED.map(Window::new),
            burst: Window::new(Signal::Cpu),
        }
    }
}

impl WindowSet {
    /// All of them, the burst's too.
    fn all(&mut self) -> impl Iterator<Item = &mut Window> {
        self.each.iter_mut().chain([&mut self.burst])
    }

    /// The window of a signal.
    fn of(&mut self, signal: Signal) -> &mut Window {
        let place = (self.each.iter()).position(|window| window.signal == signal);
        debug_assert!(place.is_some(), "there is a window of every signal");
        &mut self.each[place.unwrap_or_default()]
    }
}

/// The windows that are counted, and the ones after them.
///
/// The ring is drained now and then, so samples of the next window are met before this one is cut.
#[derive(Debug, Default)]
pub(super) struct Windows {
    /// The ones that are counted.
    current: WindowSet,
    /// Samples that were taken after their end.
    next: WindowSet,
    /// Its end, by the monotonic clock; endless when absent.
    end: Option<Duration>,
    /// Labels threads, where labels are wanted.
    pub(super) labeler: Option<Labeler>,
    /// Whether windows hold fewer stacks than usual.
    is_cramped: bool,
    /// Where the stacks of waits begin, when waits are measured.
    pub(super) scheduler: Option<SchedulerText>,
    /// Whose samples of time on the CPU are a burst's, while there is one.
    pub(super) burst: Option<Targets>,
}

impl Windows {
    /// Counts a sample, which stands for `weight` of its kind.
    pub(super) fn add(&mut self, sample: StackSample, weight: f64, processes: &ProcessTable) {
        let mut sample = locate(processes, sample);
        if let (Some(scheduler), Measured::OffCpu { .. }) = (&self.scheduler, sample.measured) {
            scheduler.strip(&mut sample.kernel);
        }
        let windows = match self.end {
            Some(end) if end <= sample.taken_at => &mut self.next,
            Some(_) | None => &mut self.current,
        };
        let signal = sample.measured.signal();
        let targets = self.burst.as_ref().filter(|_burst| signal == Signal::Cpu);
        let window = if targets.is_some_and(|targets| targets.have(sample.pid)) {
            &mut windows.burst
        } else {
            windows.of(signal)
        };
        let labels = match &mut self.labeler {
            Some(labeler) => labeler.labels_of(&sample, || program_of(processes, sample.pid)),
            None => Some(LabelSet::default()),
        };
        match labels {
            Some(labels) => window.add_weighted(&sample, labels, weight),
            None => window.filtered += 1,
        }
    }

    /// A process ended, or runs another program.
    pub(super) fn forget_labels(&mut self, pid: Pid) {
        if let Some(labeler) = &mut self.labeler {
            labeler.forget(pid);
        }
    }

    /// A process made another one.
    pub(super) fn forked(&mut self, parent: Pid, child: Pid) {
        if let Some(targets) = &mut self.burst {
            targets.forked(parent, child);
        }
    }

    /// Counts a sample that was lost before its signal was known: whichever is looked at tells it.
    pub(super) fn lose(&mut self, loss: Loss) {
        for window in &mut self.current.each {
            window.lose(loss);
        }
    }

    /// Counts what was lost of one signal.
    pub(super) fn lose_of(&mut self, signal: Signal, loss: Loss, count: u64) {
        self.current.of(signal).lose_many(loss, count);
    }

    /// Samples of these windows so far.
    pub(super) fn samples(&self) -> u64 {
        let WindowSet { each, burst } = &self.current;
        each.iter().map(|window| window.samples).sum::<u64>() + burst.samples
    }

    /// Says when this window ends, by the monotonic clock.
    pub(super) fn end_at(&mut self, end: Duration) {
        self.end = Some(end);
    }

    /// Has windows hold fewer stacks than usual, or as many again. What there is stays.
    pub(super) fn cramp(&mut self, is_cramped: bool) {
        self.is_cramped = is_cramped;
        for window in self.current.all().chain(self.next.all()) {
            window.is_cramped = is_cramped;
        }
    }

    /// Takes these windows; the next ones go on, without an end yet.
    pub(super) fn cut(&mut self) -> WindowSet {
        self.end = None;
        let next = std::mem::take(&mut self.next);
        let cut = std::mem::replace(&mut self.current, next);
        self.cramp(self.is_cramped);
        cut
    }

    /// Takes all there is when sampling has stopped.
    pub(super) fn into_last(self) -> [Window; Signal::WATCHED.len()] {
        debug_assert!(self.end.is_none(), "the last window has no end set");
        self.current.each
    }
}

/// The program that a process runs, as its mappings tell it.
fn program_of(processes: &ProcessTable, pid: Pid) -> Option<Program> {
    processes.program(pid).map(|object| Program {
        path: object.path.clone(),
        build_id: object.build_id.clone(),
    })
}

/// Finds the mappings of bare frames: what the probe could not know, the daemon may know by now.
pub(super) fn locate(processes: &ProcessTable, mut sample: StackSample) -> StackSample {
    for frame in &mut sample.user {
        if let UserFrame::Bare(address) = *frame {
            *frame = processes.locate(sample.pid, address);
        }
    }
    sample
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ProcessTable, StackSample, Targets, Windows};
    use crate::model::{Measured, Pid, StackEnd, Tid};

    fn sample(second: u64) -> StackSample {
        StackSample {
            taken_at: Duration::from_secs(second),
            pid: Pid(u32::MAX - 1),
            tid: Tid(1),
            comm: String::new(),
            cgroup_id: 0,
            measured: Measured::OnCpu,
            about: Vec::new(),
            user: Vec::new(),
            kernel: Vec::new(),
            end: StackEnd::Complete,
            fallback: false,
        }
    }

    /// While there is a burst, the samples of its targets are counted apart.
    #[test]
    fn the_samples_of_a_bursts_targets_are_told_apart() {
        let processes = ProcessTable::new(|_file| None);
        let target = sample(8);
        let mut windows = Windows::default();
        let targets = Targets::Processes([target.pid].into());
        windows.burst = Some(targets);
        windows.forked(target.pid, Pid(7));
        for pid in [target.pid, Pid(7), Pid(9)] {
            windows.add(
                StackSample {
                    pid,
                    ..target.clone()
                },
                1.0,
                &processes,
            );
        }
        let cut = windows.cut();
        assert_eq!((1, 2), (cut.each[0].samples, cut.burst.samples));
    }

    /// Whenever it is drained, a sample belongs to the window it was taken in, and to one only.
    #[test]
    fn a_sample_counts_where_it_was_taken() {
        let processes = ProcessTable::new(|_file| None);
        let mut windows = Windows::default();
        windows.end_at(Duration::from_secs(10));
        for second in [8, 9, 10, 9, 11] {
            windows.add(sample(second), 1.0, &processes);
        }
        assert_eq!(3, windows.cut().each[0].samples);
        windows.end_at(Duration::from_secs(20));
        windows.add(sample(9), 1.0, &processes);
        assert_eq!(
            3,
            windows.cut().each[0].samples,
            "two that came early, one that came late"
        );
        assert_eq!(0, windows.into_last()[0].samples);
    }
}
