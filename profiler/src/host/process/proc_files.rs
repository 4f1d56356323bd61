//! What `/proc` says of processes.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use super::limits::MAPS_FILE_SIZE_BYTES_MAX;
use crate::model::{Avma, FileOffset, Inode, MappedFile, NewMapping, Pid, Tid};

/// Executable mappings of a process, by address.
///
/// # Errors
/// What the kernel said; most often that the process is gone.
pub fn read_mappings(pid: Pid) -> io::Result<Vec<NewMapping>> {
    let mut bytes = Vec::new();
    File::open(format!("/proc/{pid}/maps"))?
        .take(MAPS_FILE_SIZE_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text
        .lines()
        .filter_map(|line| parse_mapping(pid, line))
        .collect())
}

/// One line of `/proc/PID/maps`; `None` when it is not executable or not such a line.
/// Source: proc(5).
fn parse_mapping(pid: Pid, line: &str) -> Option<NewMapping> {
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let protection = fields.next()?;
    let file_offset = hexadecimal(fields.next()?)?;
    let (major, minor) = fields.next()?.split_once(':')?;
    let number = fields.next()?.parse().ok()?;
    let path = fields.next().unwrap_or_default().trim_start();
    if protection.as_bytes().get(2) != Some(&b'x') {
        return None;
    }
    Some(NewMapping {
        pid,
        start: Avma(hexadecimal(start)?),
        end: Avma(hexadecimal(end)?),
        file_offset: FileOffset(file_offset),
        file: MappedFile::Inode(Inode {
            device_major: u32::try_from(hexadecimal(major)?).ok()?,
            device_minor: u32::try_from(hexadecimal(minor)?).ok()?,
            number,
        }),
        path: path.to_owned(),
    })
}

/// A hexadecimal number without prefix.
fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// All processes, the ones that used most CPU time first: those are worth preparing first.
pub fn processes_by_cpu_time() -> Vec<Pid> {
    let Ok(folders) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut processes: Vec<(u64, Pid)> = folders
        .filter_map(|folder| folder.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((cpu_ticks(Pid(pid))?, Pid(pid))))
        .collect();
    processes.sort_unstable_by(|left, right| right.cmp(left));
    processes.into_iter().map(|(_ticks, pid)| pid).collect()
}

/// Threads of processes that run, at most `most`; a process that has ended has none.
pub fn threads_of(pids: &[Pid], most: usize) -> Vec<Tid> {
    let folders = (pids.iter()).filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok());
    folders
        .flatten()
        .filter_map(|folder| folder.ok()?.file_name().to_str()?.parse().ok())
        .map(Tid)
        .take(most)
        .collect()
}

/// CPU time of a process, in clock ticks.
fn cpu_ticks(pid: Pid) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, parentheses included; what follows the last one is regular.
    let (_name, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

/// The numbers a process has in its pid namespaces, its own first. Perf maps are named after it.
pub fn numbers_in_namespaces(pid: Pid) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .unwrap_or_default();
    let mut names: Vec<u32> = numbers
        .split_whitespace()
        .rev()
        .filter_map(|number| number.parse().ok())
        .collect();
    if names.is_empty() {
        names.push(pid.0);
    }
    names
}

/// The id of a cgroup (version 2) and its depth below the root.
///
/// # Errors
/// When there is no such folder, or it is not one of a version 2 hierarchy.
pub fn cgroup_id_and_level(path: &Path) -> io::Result<(u64, u32)> {
    let path = path.canonicalize()?;
    if !path.join("cgroup.controllers").try_exists()? {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "not a folder of a cgroup version 2 hierarchy (it has no cgroup.controllers)",
        ));
    }
    // The inode number of the folder is the id; the root is where the parent has no such file.
    let mut level = 0;
    let mut folder = path.as_path();
    while let Some(parent) = folder.parent() {
        if !parent.join("cgroup.controllers").try_exists()? {
            break;
        }
        level += 1;
        folder = parent;
    }
    Ok((fs::metadata(&path)?.ino(), level))
}

#[cfg(test)]
mod tests {
    use super::{Pid, parse_mapping, processes_by_cpu_time, read_mappings};
    use crate::model::{Inode, MappedFile};

    #[test]
    fn reads_the_mappings_of_this_test() {
        let mappings = read_mappings(Pid(std::process::id())).unwrap();
        let here = reads_the_mappings_of_this_test as fn() as usize as u64;
        let holder = mappings
            .iter()
            .find(|m| m.start.0 <= here && here < m.end.0);
        assert!(
            holder.is_some_and(|mapping| mapping.path.contains("profiler")),
            "{mappings:?}"
        );
        assert!(mappings.iter().any(|mapping| mapping.path == "[vdso]"));
    }

    #[test]
    fn keeps_spaces_and_marks_in_paths() {
        let line = "55d0c0a00000-55d0c0a01000 r-xp 00002000 fe:01 1234    /tmp/a b (deleted)";
        let mapping = parse_mapping(Pid(1), line).unwrap();
        assert_eq!("/tmp/a b (deleted)", mapping.path);
        let inode = Inode {
            device_major: 0xfe,
            device_minor: 1,
            number: 1234,
        };
        assert_eq!(MappedFile::Inode(inode), mapping.file);
        assert_eq!(0x2000, mapping.file_offset.0);
    }

    #[test]
    fn leaves_out_data_and_nonsense() {
        for line in [
            "1000-2000 rw-p 0 00:00 0",
            "",
            "x",
            "1000 r-xp",
            "1000-2000 r-xp zz 0:0 0",
        ] {
            assert_eq!(None, parse_mapping(Pid(1), line), "{line:?}");
        }
    }

    #[test]
    fn lists_this_process_among_the_others() {
        assert!(processes_by_cpu_time().contains(&Pid(std::process::id())));
    }
}
