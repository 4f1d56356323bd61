//! What the governor measures of the probe, and what it changes.

use std::{
    fs,
    os::fd::{AsRawFd as _, OwnedFd},
    time::Duration,
};

use profiler_common::{sample::SignalCode, thinning::Thinning};

use super::{Probe, ProbeError, abi::Abi, sys};

/// Time inside of one program so far, and its runs, as far as the kernel counted them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RunTime<'a> {
    /// Name of the program.
    pub program: &'a str,
    /// Time inside of it.
    pub time: Duration,
    /// Its runs.
    pub runs: u64,
}

impl Probe {
    /// Says how much of a signal is followed from now on.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn thin(&mut self, signal: SignalCode, thinning: Thinning) -> Result<(), ProbeError> {
        (self.thinning)
            .set(signal as u32, Abi(thinning), 0)
            .map_err(|source| ProbeError::Map {
                name: "THINNING",
                source,
            })
    }

    /// Run times of the programs that are loaded and selected by name; none where the kernel cannot
    /// tell.
    pub fn run_times(&self, selects: impl Fn(&str) -> bool) -> Vec<RunTime<'_>> {
        let programs = self
            .object
            .programs()
            .filter(|(name, _program)| selects(name));
        let programs = programs.filter_map(|(name, program)| {
            let info = program.info().ok()?;
            Some(RunTime {
                program: name,
                time: info.run_time(),
                runs: info.run_count(),
            })
        });
        let allocators = selects(ALLOCATORS).then_some(&self.allocator_programs);
        let allocators = allocators.into_iter().flatten().filter_map(run_time_of);
        programs.chain(allocators).collect()
    }

    /// Has the kernel count run times, or not. Counting costs each run about 100 ns.
    pub fn count_run_times(&mut self, counts: bool) {
        if !counts {
            self.run_time = None;
        } else if self.run_time.is_none() {
            // A kernel that cannot count has no statistics; what depends on them says so.
            self.run_time = sys::enable_run_time_stats().ok();
        }
    }
}

/// Name by which all programs of allocators are asked for.
const ALLOCATORS: &str = "alloc";

/// Run time of one of the programs that the library does not know. Source: proc(5), `fdinfo`.
fn run_time_of(program: &OwnedFd) -> Option<RunTime<'_>> {
    let path = format!("/proc/self/fdinfo/{}", program.as_raw_fd());
    let facts = fs::read_to_string(path).ok()?;
    let number = |name: &str| -> Option<u64> {
        let line = facts.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    Some(RunTime {
        program: ALLOCATORS,
        time: Duration::from_nanos(number("run_time_ns:")?),
        runs: number("run_cnt:")?,
    })
}
