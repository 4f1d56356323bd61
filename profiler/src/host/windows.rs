//! Samples into the window that they were taken in.

use std::time::Duration;

use super::{
    aggregate::Window,
    labels::{Labeler, Program},
    process::ProcessTable,
    scheduler_text::SchedulerText,
};
use crate::model::{LabelSet, Loss, Measured, Pid, Signal, StackSample, UserFrame};

/// One window of each signal, in the order of [`Signal::WATCHED`].
type WindowOfEach = [Window; Signal::WATCHED.len()];

/// The windows that are counted, and the ones after them.
///
/// The ring is drained now and then, so samples of the next window are met before this one is cut.
#[derive(Debug)]
pub(super) struct Windows {
    /// The ones that are counted.
    current: WindowOfEach,
    /// Samples that were taken after their end.
    next: WindowOfEach,
    /// Its end, by the monotonic clock; endless when absent.
    end: Option<Duration>,
    /// Labels threads, where labels are wanted.
    pub(super) labeler: Option<Labeler>,
    /// Whether windows hold fewer stacks than usual.
    is_cramped: bool,
    /// Where the stacks of waits begin, when waits are measured.
    pub(super) scheduler: Option<SchedulerText>,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            current: Signal::WATCHED.map(Window::new),
            next: Signal::WATCHED.map(Window::new),
            end: None,
            labeler: None,
            is_cramped: false,
            scheduler: None,
        }
    }
}

/// The window that something measured belongs to.
fn window_of(windows: &mut WindowOfEach, measured: Measured) -> &mut Window {
    let signal = measured.signal();
    let place = (windows.iter()).position(|window| window.signal == signal);
    debug_assert!(place.is_some(), "there is a window of every signal");
    &mut windows[place.unwrap_or_default()]
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
        let window = window_of(windows, sample.measured);
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

    /// Counts a sample that was lost before its signal was known: whichever is looked at tells it.
    pub(super) fn lose(&mut self, loss: Loss) {
        for window in &mut self.current {
            window.lose(loss);
        }
    }

    /// Samples of these windows so far.
    pub(super) fn samples(&self) -> u64 {
        self.current.iter().map(|window| window.samples).sum()
    }

    /// Says when this window ends, by the monotonic clock.
    pub(super) fn end_at(&mut self, end: Duration) {
        self.end = Some(end);
    }

    /// Has windows hold fewer stacks than usual, or as many again. What there is stays.
    pub(super) fn cramp(&mut self, is_cramped: bool) {
        self.is_cramped = is_cramped;
        for window in self.current.iter_mut().chain(&mut self.next) {
            window.is_cramped = is_cramped;
        }
    }

    /// Takes these windows; the next ones go on, without an end yet.
    pub(super) fn cut(&mut self) -> [Window; Signal::WATCHED.len()] {
        self.end = None;
        let next = std::mem::replace(&mut self.next, Signal::WATCHED.map(Window::new));
        let cut = std::mem::replace(&mut self.current, next);
        self.cramp(self.is_cramped);
        cut
    }

    /// Takes all there is when sampling has stopped.
    pub(super) fn into_last(self) -> [Window; Signal::WATCHED.len()] {
        debug_assert!(self.end.is_none(), "the last window has no end set");
        self.current
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
fn locate(processes: &ProcessTable, mut sample: StackSample) -> StackSample {
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

    use super::{ProcessTable, StackSample, Windows};
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

    /// Whenever it is drained, a sample belongs to the window it was taken in, and to one only.
    #[test]
    fn a_sample_counts_where_it_was_taken() {
        let processes = ProcessTable::new(|_file| None);
        let mut windows = Windows::default();
        windows.end_at(Duration::from_secs(10));
        for second in [8, 9, 10, 9, 11] {
            windows.add(sample(second), 1.0, &processes);
        }
        assert_eq!(3, windows.cut()[0].samples);
        windows.end_at(Duration::from_secs(20));
        windows.add(sample(9), 1.0, &processes);
        assert_eq!(
            3,
            windows.cut()[0].samples,
            "two that came early, one that came late"
        );
        assert_eq!(0, windows.into_last()[0].samples);
    }
}
