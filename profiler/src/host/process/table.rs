//! Every process that is known.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::{
    AddressSpace, CodeMapping, Objects, ReadBuildId,
    limits::{ENDED_KEPT, REPAIR_PAUSE},
    read_mappings,
};
use crate::model::{Avma, NewMapping, ObjectId, Pid, Tid, UserFrame};

/// What one batch of events changed, for the probe to be told.
#[derive(Debug, Default)]
pub struct Changes {
    /// Processes whose mappings the probe must be given.
    pub changed: HashSet<Pid>,
    /// Processes that ended.
    pub ended: Vec<Pid>,
    /// Objects seen for the first time, to be compiled.
    pub new_objects: Vec<ObjectId>,
}

/// One process.
#[derive(Clone, Debug, Default)]
struct Process {
    space: AddressSpace,
    /// When `/proc` was last read to repair it.
    repaired_at: Option<Duration>,
    ended_at: Option<Duration>,
}

/// Every process that is known, and the object files they map.
#[derive(Debug)]
pub struct ProcessTable {
    processes: HashMap<Pid, Process>,
    /// The object files.
    pub objects: Objects,
}

impl ProcessTable {
    /// No processes yet.
    pub fn new(read_build_id: ReadBuildId) -> Self {
        Self {
            processes: HashMap::new(),
            objects: Objects::new(read_build_id),
        }
    }

    /// Mappings of a process, by address; none for an unknown one.
    pub fn mappings(&self, pid: Pid) -> &[CodeMapping] {
        self.processes
            .get(&pid)
            .map_or(&[], |process| process.space.mappings())
    }

    /// Where an address of a process is; a bare address when no file holds it.
    pub fn locate(&self, pid: Pid, address: Avma) -> UserFrame {
        (self.processes.get(&pid))
            .and_then(|process| process.space.locate(address))
            .unwrap_or(UserFrame::Bare(address))
    }

    /// A process or thread was made.
    pub fn forked(&mut self, parent: Pid, child: Pid, changes: &mut Changes) {
        if parent == child {
            return;
        }
        let space = self
            .processes
            .get(&parent)
            .map(|process| process.space.clone());
        let process = Process {
            space: space.unwrap_or_default(),
            ..Process::default()
        };
        // The probe has copied the mappings at the fork itself.
        changes.ended.retain(|pid| *pid != child);
        self.processes.insert(child, process);
    }

    /// A process runs another program.
    pub fn executed(&mut self, pid: Pid, changes: &mut Changes) {
        self.processes.insert(pid, Process::default());
        changes.changed.insert(pid);
    }

    /// A process mapped code.
    pub fn mapped(&mut self, mapping: &NewMapping, changes: &mut Changes) {
        let pid = mapping.pid;
        self.add_mapping(mapping, changes);
        changes.changed.insert(pid);
    }

    /// Adds one mapping to a process.
    fn add_mapping(&mut self, mapping: &NewMapping, changes: &mut Changes) {
        let known = self.objects.count();
        let object = self.objects.identify(mapping);
        if let Some(id) = object
            && known < self.objects.count()
        {
            changes.new_objects.push(id);
        }
        self.processes
            .entry(mapping.pid)
            .or_default()
            .space
            .insert(CodeMapping {
                start: mapping.start,
                end: mapping.end,
                file_offset: mapping.file_offset,
                object,
            });
    }

    /// A thread ended; with the first thread of a process goes the process, unless others live on.
    pub fn exited(&mut self, pid: Pid, tid: Tid, now: Duration, changes: &mut Changes) {
        if pid.0 != tid.0 || has_other_threads(pid) {
            return;
        }
        if let Some(process) = self.processes.get_mut(&pid) {
            process.ended_at = Some(now);
        }
        changes.changed.remove(&pid);
        changes.ended.push(pid);
    }

    /// Reads the mappings of a process again, because the probe met something it does not know.
    pub fn repair(&mut self, pid: Pid, now: Duration, changes: &mut Changes) {
        let last = self
            .processes
            .get(&pid)
            .and_then(|process| process.repaired_at);
        if last.is_some_and(|last| now < last + REPAIR_PAUSE) {
            return;
        }
        self.read(pid, changes);
        if let Some(process) = self.processes.get_mut(&pid) {
            process.repaired_at = Some(now);
        }
    }

    /// Reads the mappings of a process from `/proc`. A process that is gone, or has no code of its
    /// own (a kernel thread), leaves things as they are.
    pub fn read(&mut self, pid: Pid, changes: &mut Changes) {
        let Ok(mappings) = read_mappings(pid) else {
            return;
        };
        if mappings.is_empty() {
            return;
        }
        self.processes.entry(pid).or_default().space = AddressSpace::default();
        for mapping in &mappings {
            self.add_mapping(mapping, changes);
        }
        changes.changed.insert(pid);
    }

    /// Forgets processes that ended long enough ago.
    pub fn forget_ended(&mut self, now: Duration) {
        self.processes.retain(|_pid, process| {
            process
                .ended_at
                .is_none_or(|ended| now < ended + ENDED_KEPT)
        });
    }
}

/// Whether threads of a process live on after its first one ended.
fn has_other_threads(pid: Pid) -> bool {
    std::fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|tasks| 1 < tasks.count())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Changes, ProcessTable};
    use crate::model::{Avma, Pid, Tid, UserFrame};

    /// Address of code in this test's own binary.
    fn here() -> Avma {
        Avma(here as fn() -> Avma as usize as u64)
    }

    #[test]
    fn a_child_starts_with_the_mappings_of_its_parent() {
        let (parent, child) = (Pid(std::process::id()), Pid(u32::MAX - 1));
        let (mut table, mut changes) = (ProcessTable::new(|_file| None), Changes::default());
        table.read(parent, &mut changes);
        table.forked(parent, child, &mut changes);
        let found = table.locate(child, here());
        assert!(matches!(found, UserFrame::Object { .. }), "{found:?}");
        assert!(!changes.new_objects.is_empty());

        table.executed(child, &mut changes);
        assert_eq!(UserFrame::Bare(here()), table.locate(child, here()));
        assert!(changes.changed.contains(&child));
    }

    #[test]
    fn an_ended_process_is_kept_for_late_samples_then_forgotten() {
        let pid = Pid(u32::MAX - 1);
        let (mut table, mut changes) = (ProcessTable::new(|_file| None), Changes::default());
        table.read(Pid(std::process::id()), &mut changes);
        table.forked(Pid(std::process::id()), pid, &mut changes);
        table.exited(pid, Tid(pid.0), Duration::from_secs(1), &mut changes);
        table.forget_ended(Duration::from_secs(2));
        assert!(matches!(
            table.locate(pid, here()),
            UserFrame::Object { .. }
        ));
        table.forget_ended(Duration::from_secs(60));
        assert_eq!(UserFrame::Bare(here()), table.locate(pid, here()));
    }

    #[test]
    fn a_thread_that_ends_takes_nothing_with_it() {
        let pid = Pid(std::process::id());
        let (mut table, mut changes) = (ProcessTable::new(|_file| None), Changes::default());
        table.read(pid, &mut changes);
        table.exited(pid, Tid(pid.0 + 1), Duration::from_secs(1), &mut changes);
        assert!(changes.ended.is_empty());
    }

    #[test]
    fn a_process_that_is_gone_is_no_error() {
        let mut changes = Changes::default();
        ProcessTable::new(|_file| None).read(Pid(u32::MAX - 1), &mut changes);
        assert!(changes.changed.is_empty());
    }
}
