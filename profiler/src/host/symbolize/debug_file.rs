//! The separate debug file of an object: where it may be, and whether it is the right one.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
    rc::Rc,
};

use super::{
    bytes::FileBytes,
    elf::{Elf, SECTION_SYMTAB},
    error::ReadError,
    limits::{CHECKSUM_SIZE_BYTES_MAX, STREAM_SIZE_BYTES},
};
use crate::model::BuildId;

/// Where debug files are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct DebugPlaces<'object> {
    /// Directories of debug files, `/usr/lib/debug`.
    pub debug_dirs: &'object [PathBuf],
    /// Path of the object as its process sees it.
    pub shown_path: &'object str,
    /// Root directory of that process, tried before the daemon's own.
    pub root: Option<&'object Path>,
    /// Bytes of a debug file that may be kept in memory.
    pub kept_size_bytes: u64,
}

/// Finds the debug file of `elf`: by build id, then by `.gnu_debuglink` (GDB manual, "Separate
/// Debug Files"). A file that is not there, not readable or not the right one is passed over.
pub(super) fn find(elf: &Elf, build_id: Option<&BuildId>, places: &DebugPlaces<'_>) -> Option<Elf> {
    let own_id = build_id.cloned().or_else(|| elf.build_id());
    let open = |path: PathBuf| {
        let bytes = FileBytes::open(&path, places.kept_size_bytes, elf.bytes.budget()).ok()?;
        Elf::parse(bytes).ok().filter(says_more)
    };
    let by_id = own_id.as_ref().and_then(|id| {
        let paths = places.rooted(paths_by_id(id, places.debug_dirs));
        paths
            .into_iter()
            .find_map(|path| open(path).filter(|found| found.build_id().as_ref() == Some(id)))
    });
    by_id.or_else(|| {
        let (name, checksum) = elf.debug_link()?;
        let paths = places.rooted(paths_by_name(&name, places));
        paths
            .into_iter()
            .find_map(|path| open(path).filter(|found| is_linked(found, own_id.as_ref(), checksum)))
    })
}

/// Whether a file has anything that a stripped one lacks.
fn says_more(elf: &Elf) -> bool {
    elf.section_of_kind(SECTION_SYMTAB).is_some() || elf.section_named(".debug_info").is_some()
}

/// Whether a file is the one that a link means: the same build id proves it, a checksum does where
/// one of them has none.
fn is_linked(found: &Elf, own_id: Option<&BuildId>, checksum: u32) -> bool {
    match (found.build_id(), own_id) {
        (Some(found), Some(own)) => found == *own,
        _ => checksum_of(&found.bytes).is_ok_and(|found| found == checksum),
    }
}

/// Computes the checksum of `.gnu_debuglink` over a whole file.
fn checksum_of(bytes: &Rc<FileBytes>) -> Result<u32, ReadError> {
    if bytes.size_bytes() > CHECKSUM_SIZE_BYTES_MAX {
        return Err(ReadError::Bounded { what: "time" });
    }
    let mut checksum = flate2::Crc::new();
    let mut buffer = vec![0; STREAM_SIZE_BYTES];
    let mut at = 0_u64;
    while at < bytes.size_bytes() {
        let left = bytes.size_bytes().saturating_sub(at);
        let size = usize::try_from(left).map_or(STREAM_SIZE_BYTES, |s| s.min(STREAM_SIZE_BYTES));
        let part = buffer.get_mut(..size).unwrap_or_default();
        bytes.stream_at(at, part)?;
        checksum.update(part);
        at = at.saturating_add(size as u64);
    }
    Ok(checksum.sum())
}

/// `DIR/.build-id/ab/cdef….debug`, for each directory.
fn paths_by_id(id: &BuildId, debug_dirs: &[PathBuf]) -> Vec<PathBuf> {
    let id = id.to_string();
    let Some((first, rest)) = id.split_at_checked(2).filter(|(_, rest)| !rest.is_empty()) else {
        return Vec::new();
    };
    let name = format!(".build-id/{first}/{rest}.debug");
    debug_dirs.iter().map(|dir| dir.join(&name)).collect()
}

/// Beside the object, in `.debug` beside it, and at its directory below each debug directory.
fn paths_by_name(name: &[u8], places: &DebugPlaces<'_>) -> Vec<PathBuf> {
    let shown = places.shown_path.trim_end_matches(" (deleted)");
    let name = Path::new(OsStr::from_bytes(name)).file_name();
    let directory = Path::new(shown).parent().filter(|dir| dir.is_absolute());
    let (Some(name), Some(directory)) = (name, directory) else {
        return Vec::new();
    };
    let beside = [directory.join(name), directory.join(".debug").join(name)];
    let below = places
        .debug_dirs
        .iter()
        .map(|dir| below(dir, directory).join(name));
    beside.into_iter().chain(below).collect()
}

impl DebugPlaces<'_> {
    /// Each path below the root of the process, then each as it is.
    fn rooted(&self, paths: Vec<PathBuf>) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> = self
            .root
            .into_iter()
            .flat_map(|root| paths.iter().map(|path| below(root, path)))
            .collect();
        all.extend(paths);
        all
    }
}

/// An absolute path below a directory. `..` is left out, so that the result stays below it.
fn below(directory: &Path, path: &Path) -> PathBuf {
    let parts = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_)));
    directory.components().chain(parts).collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{DebugPlaces, paths_by_id, paths_by_name};
    use crate::model::BuildId;

    #[test]
    fn debug_files_are_looked_for_where_debuggers_do() {
        let dirs = [PathBuf::from("/usr/lib/debug")];
        let places = DebugPlaces {
            debug_dirs: &dirs,
            shown_path: "/usr/bin/ls (deleted)",
            root: Some(Path::new("/proc/7/root")),
            kept_size_bytes: 0,
        };
        let id = BuildId::new(&[0xab, 0xcd, 0x01]).unwrap();
        let mut paths = paths_by_id(&id, &dirs);
        paths.extend(paths_by_name(b"../../ls.debug", &places));
        let found = places.rooted(paths);
        let expected = [
            "/proc/7/root/usr/lib/debug/.build-id/ab/cd01.debug",
            "/proc/7/root/usr/bin/ls.debug",
            "/proc/7/root/usr/bin/.debug/ls.debug",
            "/proc/7/root/usr/lib/debug/usr/bin/ls.debug",
            "/usr/lib/debug/.build-id/ab/cd01.debug",
            "/usr/bin/ls.debug",
            "/usr/bin/.debug/ls.debug",
            "/usr/lib/debug/usr/bin/ls.debug",
        ];
        assert_eq!(expected.map(PathBuf::from)[..], found[..]);
    }

    #[test]
    fn code_without_a_path_has_no_linked_file() {
        for shown_path in ["[vdso]", "", "relative/ls", "/"] {
            let places = DebugPlaces {
                debug_dirs: &[PathBuf::from("/usr/lib/debug")],
                shown_path,
                root: None,
                kept_size_bytes: 0,
            };
            assert!(
                paths_by_name(b"ls.debug", &places).is_empty(),
                "{shown_path}"
            );
        }
    }
}
