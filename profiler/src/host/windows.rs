//! Samples into the window that they were taken in.

use std::time::Duration;

use super::{
    aggregate::Window,
    labels::{Labeler, Program},
    process::ProcessTable,
};
use crate::model::{LabelSet, Loss, Pid, StackSample, UserFrame};

/// The window that is counted, and the one after it.
///
/// The ring is drained now and then, so samples of the next window are met before this one is cut.
#[derive(Debug, Default)]
pub(super) struct Windows {
    /// The one that is counted.
    current: Window,
    /// Samples that were taken after its end.
    next: Window,
    /// Its end, by the monotonic clock; endless when absent.
    end: Option<Duration>,
    /// Labels threads, where labels are wanted.
    pub(super) labeler: Option<Labeler>,
}

impl Windows {
    /// Counts a sample.
    pub(super) fn add(&mut self, sample: StackSample, processes: &ProcessTable) {
        let sample = locate(processes, sample);
        let window = match self.end {
            Some(end) if end <= sample.taken_at => &mut self.next,
            Some(_) | None => &mut self.current,
        };
        let labels = match &mut self.labeler {
            Some(labeler) => labeler.labels_of(&sample, || program_of(processes, sample.pid)),
            None => Some(LabelSet::default()),
        };
        match labels {
            Some(labels) => window.add(&sample, labels),
            None => window.filtered += 1,
        }
    }

    /// A process ended, or runs another program.
    pub(super) fn forget_labels(&mut self, pid: Pid) {
        if let Some(labeler) = &mut self.labeler {
            labeler.forget(pid);
        }
    }

    /// Counts a sample that was lost.
    pub(super) fn lose(&mut self, loss: Loss) {
        self.current.lose(loss);
    }

    /// Samples of this window so far.
    pub(super) fn samples(&self) -> u64 {
        self.current.samples
    }

    /// Says when this window ends, by the monotonic clock.
    pub(super) fn end_at(&mut self, end: Duration) {
        self.end = Some(end);
    }

    /// Takes this window; the next one goes on, without an end yet.
    pub(super) fn cut(&mut self) -> Window {
        self.end = None;
        let next = std::mem::take(&mut self.next);
        std::mem::replace(&mut self.current, next)
    }

    /// Takes all there is when sampling has stopped.
    pub(super) fn into_last(self) -> Window {
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
    use crate::model::{Pid, StackEnd, Tid};

    fn sample(second: u64) -> StackSample {
        StackSample {
            taken_at: Duration::from_secs(second),
            pid: Pid(u32::MAX - 1),
            tid: Tid(1),
            comm: String::new(),
            cgroup_id: 0,
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
            windows.add(sample(second), &processes);
        }
        assert_eq!(3, windows.cut().samples);
        windows.end_at(Duration::from_secs(20));
        windows.add(sample(9), &processes);
        assert_eq!(
            3,
            windows.cut().samples,
            "two that came early, one that came late"
        );
        assert_eq!(0, windows.into_last().samples);
    }
}
