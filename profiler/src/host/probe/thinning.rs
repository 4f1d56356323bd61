//! What the governor measures of the probe, and what it changes.

use std::time::Duration;

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

    /// Run times of all programs that are loaded; none where the kernel cannot tell.
    pub fn run_times(&self) -> Vec<RunTime<'_>> {
        let programs = self.object.programs().filter_map(|(name, program)| {
            let info = program.info().ok()?;
            Some(RunTime {
                program: name,
                time: info.run_time(),
                runs: info.run_count(),
            })
        });
        programs.collect()
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
