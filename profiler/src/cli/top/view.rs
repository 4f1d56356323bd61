//! What the live view shows: one window as rows, and what was chosen.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    model::{Pid, Profile, label},
    render,
};

/// How functions are ordered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Order {
    /// By what they take themselves.
    #[default]
    Own,
    /// By what they take with all they call.
    Total,
}

/// One process in the window.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ProcessRow {
    /// Its number.
    pub(super) pid: Pid,
    /// Its name.
    pub(super) name: String,
    /// Samples.
    pub(super) samples: u64,
}

/// One function in the window, or in one process of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct FunctionRow {
    /// Its name, with the mark of its kind.
    pub(super) name: String,
    /// Samples in itself.
    pub(super) own: u64,
    /// Samples in it and all it calls.
    pub(super) total: u64,
}

/// The window that is shown, and what the person chose.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The last window; absent before the first.
    pub(super) profile: Option<Arc<Profile>>,
    /// Processes, the busiest first.
    pub(super) processes: Vec<ProcessRow>,
    /// Functions of the process that is looked into, or of all.
    pub(super) functions: Vec<FunctionRow>,
    /// The row of `processes` that is marked.
    pub(super) marked: usize,
    /// The process that is looked into.
    pub(super) inside: Option<Pid>,
    /// How functions are ordered.
    pub(super) order: Order,
    /// True while new windows are not shown.
    pub(super) is_paused: bool,
}

impl View {
    /// Shows a window, unless paused.
    pub(super) fn show(&mut self, profile: Arc<Profile>) {
        if self.is_paused {
            return;
        }
        let marked = self.processes.get(self.marked).map(|row| row.pid);
        self.processes = processes(&profile);
        self.profile = Some(profile);
        // The mark stays on its process where that is still there.
        self.marked = (self.processes.iter())
            .position(|row| Some(row.pid) == marked)
            .unwrap_or_else(|| self.marked.min(self.processes.len().saturating_sub(1)));
        self.count_functions();
    }

    /// Moves the mark by some rows.
    pub(super) fn move_mark(&mut self, rows: isize) {
        let last = self.processes.len().saturating_sub(1);
        self.marked = self.marked.saturating_add_signed(rows).min(last);
    }

    /// Looks into the marked process.
    pub(super) fn look_inside(&mut self) {
        self.inside = self.processes.get(self.marked).map(|row| row.pid);
        self.count_functions();
    }

    /// Looks at all processes again.
    pub(super) fn look_at_all(&mut self) {
        self.inside = None;
        self.count_functions();
    }

    /// Orders functions the other way.
    pub(super) fn change_order(&mut self) {
        self.order = match self.order {
            Order::Own => Order::Total,
            Order::Total => Order::Own,
        };
        self.count_functions();
    }

    /// Counts the functions of what is looked at.
    fn count_functions(&mut self) {
        let Some(profile) = &self.profile else { return };
        let weights = match self.inside {
            Some(pid) => render::weights(&only(profile, pid)),
            None => render::weights(profile),
        };
        let mut rows: Vec<FunctionRow> = (weights.into_iter())
            .map(|(name, weight)| FunctionRow {
                name,
                own: weight.own,
                total: weight.total,
            })
            .collect();
        let order = self.order;
        rows.sort_by_cached_key(|row| {
            let keys = match order {
                Order::Own => (row.own, row.total),
                Order::Total => (row.total, row.own),
            };
            (std::cmp::Reverse(keys), row.name.clone())
        });
        self.functions = rows;
    }
}

/// Processes of a window, the busiest first.
fn processes(profile: &Profile) -> Vec<ProcessRow> {
    let mut rows: BTreeMap<Pid, ProcessRow> = BTreeMap::new();
    for sample in &profile.samples {
        let Some(task) = profile.task(sample.task) else {
            continue;
        };
        let row = rows.entry(task.pid).or_insert_with(|| ProcessRow {
            pid: task.pid,
            name: (task.labels.get(label::COMM)).unwrap_or(&task.comm).clone(),
            samples: 0,
        });
        row.samples += sample.values.first().copied().unwrap_or_default();
    }
    let mut rows: Vec<ProcessRow> = rows.into_values().collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.samples), row.pid));
    rows
}

/// The samples of one process.
fn only(profile: &Profile, pid: Pid) -> Profile {
    let is_of = |sample: &crate::model::Sample| {
        (profile.task(sample.task)).is_some_and(|task| task.pid == pid)
    };
    Profile {
        samples: (profile.samples.iter())
            .filter(|sample| is_of(sample))
            .cloned()
            .collect(),
        ..profile.clone()
    }
}

#[cfg(test)]
pub(in crate::cli::top) mod tests {
    use std::sync::Arc;

    use super::{Order, View};
    use crate::model::{
        FrameKind, Location, Naming, Pid, Profile, ProfileBuilder, Task, ValueType,
    };

    /// Two processes: 1 spends 6 in `work` below `main`, 2 spends 3 in `main`.
    pub(in crate::cli::top) fn profile() -> Profile {
        let mut builder = ProfileBuilder::new(vec![ValueType {
            kind: "samples".to_owned(),
            unit: "count".to_owned(),
        }]);
        let [work, main] = ["work", "main"].map(|function| {
            let naming = Naming::Named(vec![Location {
                function: function.to_owned(),
                ..Location::default()
            }]);
            builder.frame(FrameKind::Native, None, 1, naming)
        });
        for (pid, frames, value) in [(2, vec![main], 3), (1, vec![work, main], 6)] {
            let stack = builder.stack(frames);
            let task = builder.task(Task {
                pid: Pid(pid),
                comm: format!("process{pid}"),
                ..Task::default()
            });
            builder.add(task, stack, &[value]);
        }
        builder.finish()
    }

    #[test]
    fn looking_into_a_process_counts_only_its_functions() {
        let mut view = View::default();
        view.show(Arc::new(profile()));
        assert_eq!(
            ["process1", "process2"],
            [0, 1].map(|row| view.processes[row].name.as_str())
        );
        assert_eq!(
            ("work", 6),
            (view.functions[0].name.as_str(), view.functions[0].own)
        );
        view.move_mark(5);
        view.look_inside();
        assert_eq!(Some(Pid(2)), view.inside);
        assert_eq!(vec![("main", 3)], names(&view));
        view.look_at_all();
        view.change_order();
        assert_eq!(Order::Total, view.order);
        assert_eq!("main", view.functions[0].name);
    }

    #[test]
    fn a_paused_view_stays_and_the_mark_stays_on_its_process() {
        let mut view = View::default();
        view.show(Arc::new(profile()));
        view.move_mark(1);
        let mut other = profile();
        other.samples[0].values[0] = 100;
        view.is_paused = true;
        view.show(Arc::new(other.clone()));
        assert_eq!(6, view.processes[0].samples);
        view.is_paused = false;
        view.show(Arc::new(other));
        assert_eq!((0, Pid(2)), (view.marked, view.processes[view.marked].pid));
    }

    fn names(view: &View) -> Vec<(&str, u64)> {
        (view.functions.iter())
            .map(|row| (row.name.as_str(), row.own))
            .collect()
    }
}
