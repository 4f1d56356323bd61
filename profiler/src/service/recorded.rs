//! Recorded profiles, asked as if they were a store.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;

use super::{
    insight::{Against, Budget, Rules, Settings, limits::CHANGES_MAX},
    query::{self, Reader, Wanted, check, regressions},
    store::{MemoryStore, QueryLimits, Store as _},
};
use crate::{
    model::{Batch, Pid, Profile, ProfileType, Selection, SenderId, Signal, TimeRange, label},
    wire::v1::generated::{CheckResponse, RegressionsResponse},
};

/// Where the recordings are put on the line of time.
const START: Duration = Duration::from_secs(2_000_000_000);
/// Where the baseline is put.
const BASELINE_START: Duration = Duration::from_secs(1_000_000_000);
/// Length of a recording that does not say how long it is.
const LENGTH_DEFAULT: Duration = Duration::from_secs(10);

/// A label that recorded profiles get: `service=api`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecordingLabel {
    name: String,
    value: String,
}

/// A label that is not `NAME=VALUE`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected NAME=VALUE, as in service=api")]
pub struct LabelError;

impl FromStr for RecordingLabel {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let (name, value) = text.split_once('=').ok_or(LabelError)?;
        if name.is_empty() {
            return Err(LabelError);
        }
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

/// Recordings, and what they are compared with.
pub struct Recorded {
    reader: Reader,
    range: TimeRange,
    baseline: Option<TimeRange>,
}

impl Recorded {
    /// Puts recordings where questions can be asked about them: one profile for each signal.
    ///
    /// # Errors
    /// A profile that contradicts itself.
    pub fn new(
        input: Vec<Profile>,
        baseline: Vec<Profile>,
        labels: &[RecordingLabel],
    ) -> anyhow::Result<Self> {
        let longest = |profiles: &[Profile]| {
            let lengths = profiles.iter().map(|profile| profile.window.duration);
            lengths.filter(|length| !length.is_zero()).max()
        };
        let length = longest(&input).unwrap_or(LENGTH_DEFAULT);
        let has_baseline = !baseline.is_empty();
        let baseline_length = longest(&baseline).unwrap_or(length);
        let store = MemoryStore::default();
        let names = [process_names(&input), process_names(&baseline)];
        let inputs = input.into_iter().map(|profile| (START, profile, &names[0]));
        let baselines = (baseline.into_iter()).map(|profile| (BASELINE_START, profile, &names[1]));
        for (sequence, (start, profile, names)) in (1..).zip(inputs.chain(baselines)) {
            let batch = batch(profile, start, labels, names);
            store
                .append(SenderId(1), sequence, batch)
                .context("look into the profile")?;
        }
        let range = |start: Duration, length| TimeRange {
            start,
            end: start + length,
        };
        Ok(Self {
            reader: Reader::of_recording(Arc::new(store), length.max(baseline_length)),
            range: range(START, length),
            baseline: has_baseline.then(|| range(BASELINE_START, baseline_length)),
        })
    }

    /// Checks a budget, with these rules in place of those that are built in.
    ///
    /// # Errors
    /// What of the budget or the rules cannot be used.
    pub fn check(&self, budget: &str, rules: &str) -> anyhow::Result<CheckResponse> {
        let budget = Budget::read(budget)?;
        let rules = Rules::read(rules)?;
        let when = (self.range, self.baseline);
        let checked = check(&self.reader, &budget, &rules, when, &limits())?;
        Ok(query::check_response(&checked))
    }

    /// Compares with the baseline, function by function, in the first kind of value.
    ///
    /// # Errors
    /// Different units.
    pub fn regressions(&self) -> anyhow::Result<RegressionsResponse> {
        let types = self.reader.store().profile_types(self.range);
        let first = types
            .iter()
            .find(|known| known.kind == "samples")
            .or(types.first());
        let profile_type = first.cloned().unwrap_or_else(|| ProfileType {
            signal: Signal::Cpu.as_str().to_owned(),
            kind: "samples".to_owned(),
            unit: "count".to_owned(),
        });
        let selection = |range| Selection {
            profile_type: profile_type.clone(),
            matchers: Vec::new(),
            range,
        };
        let wanted = Wanted {
            after: selection(self.range),
            before: self.baseline.map(selection),
            against: Against::Baseline,
            is_total: false,
            settings: Settings::default(),
            limit: CHANGES_MAX,
        };
        let found = regressions(&self.reader, &wanted, &limits())?;
        Ok(query::regressions_response(&found))
    }
}

/// No bounds but those of the input.
fn limits() -> QueryLimits {
    QueryLimits {
        rows_max: u64::MAX,
        cancelled: Arc::default(),
        deadline: None,
    }
}

/// Names of processes.
type ProcessNames = BTreeMap<Pid, String>;

/// What recordings know of the name of a process.
#[derive(Default)]
struct Naming<'a> {
    /// Names that a recording saw last.
    last: Vec<&'a str>,
    /// Names that a recording saw followed by another.
    followed: BTreeSet<&'a str>,
    /// How many threads but the first bear a name.
    borne: BTreeMap<&'a str, usize>,
}

impl<'a> Naming<'a> {
    /// The name after the last program that the process became. A recording may have seen the first
    /// thread only before that; threads that the program started took its name over.
    fn name(&self) -> Option<&'a str> {
        let borne = |name: &&str| self.borne.get(name).copied().unwrap_or_default();
        let is_latest = |name: &&str| !self.followed.contains(name);
        let last = || self.last.iter().copied();
        (last().filter(is_latest).max_by_key(borne)).or_else(|| last().max_by_key(borne))
    }
}

/// Names of processes: those of their first threads.
fn process_names(profiles: &[Profile]) -> ProcessNames {
    let mut known: BTreeMap<Pid, Naming<'_>> = BTreeMap::new();
    for profile in profiles {
        // In the order in which they were first seen.
        let mut seen: BTreeMap<Pid, Vec<&str>> = BTreeMap::new();
        for task in &profile.tasks {
            if task.pid.0 != task.tid.0 {
                let borne = &mut known.entry(task.pid).or_default().borne;
                *borne.entry(&task.comm).or_default() += 1;
                continue;
            }
            let names = seen.entry(task.pid).or_default();
            if !names.contains(&task.comm.as_str()) {
                names.push(&task.comm);
            }
        }
        for (pid, names) in seen {
            let naming = known.entry(pid).or_default();
            naming.last.extend(names.last());
            naming.followed.extend(&names[..names.len() - 1]);
        }
    }
    let name = |(pid, naming): (Pid, Naming<'_>)| Some((pid, naming.name()?.to_owned()));
    known.into_iter().filter_map(name).collect()
}

/// A profile at its place on the line of time, with its labels: those of a daemon that can be told
/// from the recording, and those that were given. What another profiler counted in
/// samples or in time on a CPU is CPU time.
fn batch(
    mut profile: Profile,
    start: Duration,
    labels: &[RecordingLabel],
    names: &ProcessNames,
) -> Batch {
    profile.window.start = start;
    let counts_cpu = profile
        .value_types
        .iter()
        .any(|known| (known.kind == "samples" && known.unit == "count") || known.kind == "cpu");
    if profile.signal == Signal::Imported && counts_cpu {
        profile.signal = Signal::Cpu;
    }
    for task in &mut profile.tasks {
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() && !task.labels.contains_key(name) {
                task.labels.insert(name.to_owned(), value.to_owned());
            }
        };
        add(label::THREAD, &task.comm);
        if task.pid != Pid(0) {
            add(label::PID, &task.pid.0.to_string());
            let is_first = task.pid.0 == task.tid.0;
            let process = names.get(&task.pid).map_or("", String::as_str);
            add(label::COMM, if is_first { &task.comm } else { process });
        }
        let given = labels
            .iter()
            .map(|label| (label.name.clone(), label.value.clone()));
        task.labels.extend(given);
    }
    Batch::from_profile(&profile, 0)
}

#[cfg(test)]
mod tests {
    use super::process_names;
    use crate::model::{Pid, Profile, Task, Tid};

    /// A recording that saw threads: process, thread, name.
    fn seen(tasks: &[(u32, u32, &str)]) -> Profile {
        let task = |(pid, tid, comm): &(u32, u32, &str)| Task {
            pid: Pid(*pid),
            tid: Tid(*tid),
            comm: (*comm).to_owned(),
            ..Task::default()
        };
        Profile {
            tasks: tasks.iter().map(task).collect(),
            ..Profile::default()
        }
    }

    #[test]
    fn a_process_is_called_what_its_first_thread_became() {
        let names = process_names(&[
            seen(&[(7, 7, "sh"), (8, 9, "worker")]),
            seen(&[(7, 7, "sh"), (7, 7, "app"), (7, 10, "worker")]),
            seen(&[(7, 7, "sh")]),
        ]);
        assert_eq!(Some("app"), names.get(&Pid(7)).map(String::as_str));
        assert_eq!(None, names.get(&Pid(8)));
    }

    #[test]
    fn a_name_that_one_recording_saw_too_early_is_not_the_process() {
        let of_cpu = seen(&[(7, 7, "profiler"), (7, 8, "app")]);
        let of_waits = seen(&[(7, 7, "app"), (7, 8, "app"), (7, 7, "app")]);
        for order in [[of_cpu.clone(), of_waits.clone()], [of_waits, of_cpu]] {
            let names = process_names(&order);
            assert_eq!(Some("app"), names.get(&Pid(7)).map(String::as_str));
        }
    }
}
