//! What a recording cost, for programs: the file that the hidden option `--cost` names.

use std::{fs, path::Path};

use anyhow::Context as _;
use serde::Serialize;

use super::output;
use crate::host::run::Recording;

/// One recording's cost. Written as one JSON object.
#[derive(Debug, Serialize)]
struct CostReport {
    /// Samples kept.
    samples: u64,
    /// Samples of an idle CPU.
    idle: u64,
    /// Runs of the sampling program: one a sample, whatever became of it. Absent where the kernel
    /// cannot tell.
    runs: Option<u64>,
    /// Time inside the sampling program.
    run_time_ns: Option<u128>,
    /// Runs of the program at the start of waits off the CPU, and time inside it.
    off_cpu_leave_runs: u64,
    off_cpu_leave_ns: u128,
    /// Runs of the program at the end of waits, and time inside it.
    off_cpu_arrive_runs: u64,
    off_cpu_arrive_ns: u128,
    /// Runs of the program at the start of system calls, and time inside it.
    syscall_enter_runs: u64,
    syscall_enter_ns: u128,
    /// Runs of the program at the end of system calls, and time inside it.
    syscall_leave_runs: u64,
    syscall_leave_ns: u128,
    /// Runs of the programs that watch TCP connections, and time inside them.
    tcp_runs: u64,
    tcp_ns: u128,
    /// User frames that the sampling program walked.
    frames_walked: u64,
    /// Bytes of unwind tables in the kernel.
    table_size_bytes: u64,
    /// From the start of the program to the first sample.
    started_after_ms: u128,
    /// The most memory this process had at any time, outputs included.
    peak_memory_bytes: u64,
}

/// Writes the cost of a recording. To be called last, or the peak is not the peak.
///
/// # Errors
/// When the peak of memory cannot be read, or the file not be written.
pub(super) fn write(path: &Path, recording: &Recording) -> anyhow::Result<()> {
    let quality = (recording.profiles.first()).map(|profile| &profile.quality);
    let quality = quality.context("a recording has a profile")?;
    let [leave, arrive] = recording.cost.off_cpu.unwrap_or_default();
    let [call_begin, call_end] = recording.cost.syscalls.unwrap_or_default();
    let tcp = recording.cost.tcp.unwrap_or_default();
    let sampler = recording.cost.sampler;
    let report = CostReport {
        samples: quality.samples,
        idle: quality.idle,
        runs: sampler.map(|(_time, runs)| runs),
        run_time_ns: sampler.map(|(time, _runs)| time.as_nanos()),
        off_cpu_leave_runs: leave.1,
        off_cpu_leave_ns: leave.0.as_nanos(),
        off_cpu_arrive_runs: arrive.1,
        off_cpu_arrive_ns: arrive.0.as_nanos(),
        syscall_enter_runs: call_begin.1,
        syscall_enter_ns: call_begin.0.as_nanos(),
        syscall_leave_runs: call_end.1,
        syscall_leave_ns: call_end.0.as_nanos(),
        tcp_runs: tcp.1,
        tcp_ns: tcp.0.as_nanos(),
        frames_walked: recording.cost.frames_walked,
        table_size_bytes: recording.cost.table_size_bytes,
        started_after_ms: recording.cost.started_after.as_millis(),
        peak_memory_bytes: peak_memory_bytes().context("read the peak of memory")?,
    };
    let text = serde_json::to_vec(&report).context("write the cost as JSON")?;
    Ok(output::write(path, &text)?)
}

/// High-water mark of resident memory of this process.
fn peak_memory_bytes() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line
        .and_then(|line| line.split_whitespace().next())
        .context("find VmHWM")?;
    Ok(kibibytes.parse::<u64>().context("read VmHWM")? * 1024)
}

#[cfg(test)]
mod tests {
    use super::peak_memory_bytes;

    #[test]
    fn the_peak_rises_with_memory_that_is_touched() {
        let touched = vec![1_u8; 64 << 20];
        assert!(touched.iter().all(|byte| *byte == 1));
        assert!(peak_memory_bytes().unwrap() >= 64 << 20);
    }
}
