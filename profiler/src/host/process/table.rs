//! Every process that is known.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use super::{
    AddressSpace, CodeMapping, Object, Objects, ReadBuildId,
    limits::{ENDED_KEPT, REFRESH_PERIOD, REFRESH_TURNS, REFRESHED_AT_ONCE_MAX, REPAIR_PAUSE},
    objects::shown_path,
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
    /// Objects that no process maps any more and that no map of the probe names.
    pub forgotten: HashSet<ObjectId>,
}

/// One process.
#[derive(Clone, Debug, Default)]
struct Process {
    space: AddressSpace,
    /// The first file that was mapped since the process began or ran another program.
    program: Option<ObjectId>,
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
    round: RefreshRound,
}

/// One reading of all processes again. When it is over, every map of the probe was written since
/// it began.
#[derive(Debug, Default)]
struct RefreshRound {
    began_at: Duration,
    /// Processes that are still to be read. A child may have a copy of what its parent had, so it
    /// is among them.
    rest: VecDeque<Pid>,
    /// Objects that nobody mapped when the last round was over, nor since.
    unused: HashSet<ObjectId>,
}

impl ProcessTable {
    /// No processes yet.
    pub fn new(read_build_id: ReadBuildId) -> Self {
        Self {
            processes: HashMap::new(),
            objects: Objects::new(read_build_id),
            round: RefreshRound::default(),
        }
    }

    /// Mappings of a process, by address; none for an unknown one.
    pub fn mappings(&self, pid: Pid) -> &[CodeMapping] {
        self.processes
            .get(&pid)
            .map_or(&[], |process| process.space.mappings())
    }

    /// The program that a process runs, as far as it can be told from what it maps.
    pub fn program(&self, pid: Pid) -> Option<&Object> {
        let program = self.processes.get(&pid)?.program?;
        Some(self.objects.get(program)?)
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
        let process = self
            .processes
            .get(&parent)
            .map(|parent| Process {
                space: parent.space.clone(),
                program: parent.program,
                ..Process::default()
            })
            .unwrap_or_default();
        self.round.rest.push_back(child);
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
        self.add_mapping(mapping);
        changes.changed.insert(pid);
    }

    /// Adds one mapping to a process.
    fn add_mapping(&mut self, mapping: &NewMapping) {
        let object = self.objects.identify(mapping);
        let process = self.processes.entry(mapping.pid).or_default();
        if let Some(object) = object {
            self.round.unused.remove(&object);
            process.program.get_or_insert(object);
        }
        process.space.insert(CodeMapping {
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
        self.end(pid, now, changes);
    }

    /// A process is gone.
    fn end(&mut self, pid: Pid, now: Duration, changes: &mut Changes) {
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
        let process = self.processes.entry(pid).or_default();
        process.space = AddressSpace::default();
        for mapping in &mappings {
            self.add_mapping(mapping);
        }
        changes.changed.insert(pid);
    }

    /// Reads these processes, all there are; the others that are known have ended.
    pub fn read_all(&mut self, pids: &[Pid], now: Duration, changes: &mut Changes) {
        for pid in pids {
            self.read(*pid, changes);
        }
        let alive: HashSet<Pid> = pids.iter().copied().collect();
        let gone = |(pid, process): (&Pid, &Process)| {
            (process.ended_at.is_none() && !alive.contains(pid)).then_some(*pid)
        };
        let gone: Vec<Pid> = self.processes.iter().filter_map(gone).collect();
        for pid in gone {
            self.end(pid, now, changes);
        }
    }

    /// Replaces the mappings of a process by what they are now; files that are still mapped where
    /// they were are not opened again. No mappings mean that it has no code of its own.
    fn replace(&mut self, pid: Pid, mappings: &[NewMapping], changes: &mut Changes) {
        if mappings.is_empty() {
            return;
        }
        let process = self.processes.entry(pid).or_default();
        let known = std::mem::take(&mut process.space);
        for mapping in mappings {
            match self.unchanged(&known, mapping) {
                Some(old) => {
                    let process = self.processes.entry(pid).or_default();
                    process.program = process.program.or(old.object);
                    process.space.insert(old);
                }
                None => self.add_mapping(mapping),
            }
        }
        changes.changed.insert(pid);
    }

    /// What is known of a mapping already, so that its file need not be opened again.
    fn unchanged(&self, known: &AddressSpace, mapping: &NewMapping) -> Option<CodeMapping> {
        let old = known.at(mapping.start)?;
        let object = self.objects.get(old.object?)?;
        let is_same = old.end == mapping.end
            && old.file_offset == mapping.file_offset
            && object.path == shown_path(&mapping.path);
        is_same.then_some(old)
    }

    /// Reads a few processes again, so that each has its turn every [`REFRESH_PERIOD`]. To be called
    /// once a second. At the end of a round the objects that nobody mapped during the last one are
    /// forgotten.
    pub fn refresh(&mut self, now: Duration, changes: &mut Changes) {
        let per_second = self.processes.len().div_ceil(REFRESH_TURNS);
        let mut turns = per_second.clamp(1, REFRESHED_AT_ONCE_MAX);
        while 0 < turns
            && let Some(pid) = self.round.rest.pop_front()
        {
            let known = self.processes.get(&pid);
            if known.is_none_or(|process| process.ended_at.is_some()) {
                continue;
            }
            turns -= 1;
            match read_mappings(pid) {
                Ok(mappings) => self.replace(pid, &mappings, changes),
                Err(_gone) => self.end(pid, now, changes),
            }
        }
        if self.round.rest.is_empty() && self.round.began_at + REFRESH_PERIOD <= now {
            self.end_round(now, changes);
        }
    }

    /// Forgets what nobody mapped for a whole round, and begins the next one.
    fn end_round(&mut self, now: Duration, changes: &mut Changes) {
        let spaces = self.processes.values().map(|process| &process.space);
        let used: HashSet<ObjectId> = spaces
            .flat_map(AddressSpace::mappings)
            .filter_map(|mapping| mapping.object)
            .chain(
                self.processes
                    .values()
                    .filter_map(|process| process.program),
            )
            .collect();
        let forgotten: HashSet<ObjectId> = (self.round.unused.iter())
            .filter(|id| !used.contains(id))
            .copied()
            .collect();
        self.objects.forget(&forgotten);
        self.round = RefreshRound {
            began_at: now,
            rest: self.processes.keys().copied().collect(),
            unused: self.objects.ids().filter(|id| !used.contains(id)).collect(),
        };
        changes.forgotten.extend(forgotten);
    }

    /// Forgets processes that ended long enough ago; returns them.
    pub fn forget_ended(&mut self, now: Duration) -> Vec<Pid> {
        let is_over = |process: &Process| {
            process
                .ended_at
                .is_some_and(|ended| ended + ENDED_KEPT <= now)
        };
        let gone = self.processes.extract_if(|_pid, process| is_over(process));
        gone.map(|(pid, _process)| pid).collect()
    }
}

/// Whether threads of a process live on after its first one ended.
fn has_other_threads(pid: Pid) -> bool {
    std::fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|tasks| 1 < tasks.count())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Changes, ENDED_KEPT, ProcessTable, REFRESH_PERIOD};
    use crate::model::{Avma, FileOffset, Inode, MappedFile, NewMapping, Pid, Tid, UserFrame};

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
        assert!(0 < table.objects.count());

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

    /// A long life: programs come and go, each with a file of its own. What only they needed goes
    /// too, after a whole round in which nobody mapped it; what is still mapped stays.
    #[test]
    fn files_that_nobody_maps_any_more_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = ProcessTable::new(|_file| None);
        table.read(Pid(std::process::id()), &mut Changes::default());
        let own = table.objects.count();
        let (mut forgotten, mut peak) = (0, 0);
        for generation in 0..8_u32 {
            let mut changes = Changes::default();
            let begun = REFRESH_PERIOD * 2 * generation;
            for number in 0..50 {
                let path = dir.path().join(format!("{generation}-{number}"));
                std::fs::write(&path, "code").unwrap();
                let pid = Pid(u32::MAX - 1 - number);
                table.forked(Pid(1), pid, &mut changes);
                table.executed(pid, &mut changes);
                table.mapped(&mapping_of(pid, &path), &mut changes);
                table.exited(pid, Tid(pid.0), begun, &mut changes);
            }
            peak = peak.max(table.objects.count());
            table.forget_ended(begun + ENDED_KEPT);
            for second in 0..2 * REFRESH_PERIOD.as_secs() {
                table.refresh(begun + Duration::from_secs(second), &mut changes);
            }
            forgotten += changes.forgotten.len();
        }
        assert!(peak <= own + 3 * 50, "{own} of its own, {peak} at most");
        assert!(5 * 50 <= forgotten, "{forgotten}");
        let found = table.locate(Pid(std::process::id()), here());
        let UserFrame::Object { object, .. } = found else {
            panic!("{found:?}");
        };
        assert!(table.objects.get(object).is_some());
    }

    /// A mapping of a whole file.
    fn mapping_of(pid: Pid, path: &std::path::Path) -> NewMapping {
        NewMapping {
            pid,
            start: Avma(0x1000),
            end: Avma(0x2000),
            file_offset: FileOffset(0),
            file: MappedFile::Inode(Inode::default()),
            path: path.to_str().unwrap().to_owned(),
        }
    }
}
