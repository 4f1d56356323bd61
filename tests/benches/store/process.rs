//! What a process and a folder take.

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;
use rustix::fs::{Advice, fadvise};

/// CPU time that a process used, with that of its threads that ended.
///
/// # Errors
/// When it is not there.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    // The unit of the file, on every Linux.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("read the CPU time")?;
    // The name before may hold anything.
    let (_name, fields) = stat.rsplit_once(')').context("fields of the CPU time")?;
    let ticks = (fields.split_whitespace().skip(11).take(2))
        .map(|field| field.parse::<u32>().context("read ticks"))
        .sum::<anyhow::Result<u32>>()?;
    Ok(Duration::from_secs_f64(f64::from(ticks) / TICKS_PER_SECOND))
}

/// A figure of `/proc/PID/status` in MiB: `VmHWM` is the most memory it ever had, `VmRSS` what it has.
///
/// # Errors
/// When it is not there.
pub(crate) fn memory_mib(pid: u32, figure: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("read the memory")?;
    let line = status.lines().find(|line| line.starts_with(figure));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
    let kibibytes: u64 = kibibytes.context("find the memory")?.parse()?;
    Ok(kibibytes / 1024)
}

/// Bytes of all files below a folder.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn size_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for_each_file(folder, &mut |path| {
        sum += fs::metadata(path)?.len();
        Ok(())
    })?;
    Ok(sum)
}

/// Takes all files below a folder out of the page cache, so that the next read is one of the disk.
///
/// # Errors
/// When one cannot be opened.
pub(crate) fn evict(folder: &Path) -> anyhow::Result<()> {
    for_each_file(folder, &mut |path| {
        let file = fs::File::open(path)?;
        Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
    })
}

/// What is done with a file.
type Visit<'a> = dyn FnMut(&Path) -> anyhow::Result<()> + 'a;

/// Calls `each` for every file below a folder.
fn for_each_file(folder: &Path, each: &mut Visit<'_>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            for_each_file(&path, each)?;
        } else {
            each(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}
