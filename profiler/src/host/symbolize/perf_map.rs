//! Perf maps: the names that a just-in-time compiler gives its code, `/tmp/perf-PID.map`.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom},
    ops::Range,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use super::{
    demangle::shortened,
    limits::{
        PERF_MAP_ENTRIES_MAX, PERF_MAP_NAME_SIZE_BYTES_MAX, PERF_MAP_NAMES_SIZE_BYTES_MAX,
        PERF_MAP_SIZE_BYTES_MAX,
    },
    text_lines::TextLines,
};
use crate::model::Avma;

/// Names of ranges of a process's memory.
///
/// A compiler appends a line for each function it makes and never takes one back, so where ranges
/// overlap the later line holds.
#[derive(Debug, Default)]
pub struct PerfMap {
    /// Ranges by their start, not overlapping.
    ranges: BTreeMap<u64, Named>,
    /// All names, one after the other.
    names: String,
    /// See [`Self::skipped_count`].
    skipped_count: u64,
}

/// A named range.
#[derive(Clone, Debug)]
struct Named {
    /// End of the range.
    end: u64,
    /// Place of the name in [`PerfMap::names`].
    name: Range<u32>,
}

impl PerfMap {
    /// Reads a map that belongs to this user, or to root: anyone may put a file into `/tmp`.
    ///
    /// Of a map above the size bound (64 MiB) the last part is read: it holds over what is before.
    ///
    /// # Errors
    /// The file is not there, not regular, a symbolic link, not this user's, or not readable.
    pub fn open(path: &Path, owner_uid: u32) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || ![0, owner_uid].contains(&metadata.uid()) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if let Some(skipped) = metadata.len().checked_sub(PERF_MAP_SIZE_BYTES_MAX) {
            file.seek(SeekFrom::Start(skipped))?;
        }
        Self::read(file)
    }

    /// Reads a map: lines of a start and a size in hexadecimal digits, and a name.
    ///
    /// Reads at most 64 MiB. A line that is not of this form, or that goes over a bound, is passed
    /// over and counted.
    ///
    /// # Errors
    /// The reader's own.
    pub fn read(reader: impl Read) -> io::Result<Self> {
        let mut map = Self::default();
        let reader = BufReader::new(reader.take(PERF_MAP_SIZE_BYTES_MAX));
        map.read_lines(reader)?;
        Ok(map)
    }

    /// Reads all lines.
    fn read_lines(&mut self, reader: impl BufRead) -> io::Result<()> {
        // Two numbers of 18 characters and two spaces.
        let size_max = PERF_MAP_NAME_SIZE_BYTES_MAX.saturating_add(38);
        let mut lines = TextLines::new(reader, size_max);
        while let Some(line) = lines.next()? {
            if !line.is_empty() && self.add(line).is_none() {
                self.skipped_count = self.skipped_count.saturating_add(1);
            }
        }
        Ok(())
    }

    /// The name of the code at an address.
    pub fn lookup(&self, address: Avma) -> Option<&str> {
        let (_, named) = self.ranges.range(..=address.0).next_back()?;
        if address.0 >= named.end {
            return None;
        }
        let start = usize::try_from(named.name.start).ok()?;
        let end = usize::try_from(named.name.end).ok()?;
        self.names.get(start..end)
    }

    /// Lines that were passed over: not of the right form, or over a bound.
    pub fn skipped_count(&self) -> u64 {
        self.skipped_count
    }

    /// Takes one line, unless it is malformed or over a bound.
    fn add(&mut self, line: &[u8]) -> Option<()> {
        let text = String::from_utf8_lossy(line);
        let (start, rest) = text.trim_start().split_once(' ')?;
        let (size, name) = rest.trim_start().split_once(' ')?;
        let name = shortened(name.trim());
        let start = hexadecimal(start)?;
        let end = start.checked_add(hexadecimal(size)?)?;
        let names_size = self.names.len().checked_add(name.len())?;
        // A new range may split an old one in two.
        let is_full = self.ranges.len().saturating_add(2) > PERF_MAP_ENTRIES_MAX
            || names_size > PERF_MAP_NAMES_SIZE_BYTES_MAX;
        if name.is_empty() || start >= end || is_full {
            return None;
        }
        let name_start = u32::try_from(self.names.len()).ok()?;
        self.names.push_str(&name);
        let name = name_start..u32::try_from(names_size).ok()?;
        self.clear(start, end);
        self.ranges.insert(start, Named { end, name });
        Some(())
    }

    /// Takes a range out of the older ones.
    fn clear(&mut self, start: u64, end: u64) {
        let before = self.ranges.range(..start).next_back();
        let reaching = before.filter(|(_, named)| named.end > start);
        let mut old_starts: Vec<u64> = reaching.map(|(old, _)| *old).into_iter().collect();
        old_starts.extend(self.ranges.range(start..end).map(|(old, _)| *old));
        for old_start in old_starts {
            let Some(old) = self.ranges.remove(&old_start) else {
                continue;
            };
            if old.end > end {
                self.ranges.insert(end, old.clone());
            }
            if old_start < start {
                let end = start;
                self.ranges.insert(old_start, Named { end, ..old });
            }
        }
    }
}

/// Reads a number, with or without `0x`.
fn hexadecimal(digits: &str) -> Option<u64> {
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    // `from_str_radix` would take a sign.
    let is_number = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_number.then(|| u64::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, fs, os::unix::fs::MetadataExt as _};

    use super::{PERF_MAP_ENTRIES_MAX, PERF_MAP_NAME_SIZE_BYTES_MAX, PerfMap};
    use crate::model::Avma;

    #[track_caller]
    fn read(text: &str) -> PerfMap {
        PerfMap::read(text.as_bytes()).unwrap()
    }

    /// The names at addresses, as one text.
    fn named(map: &PerfMap, addresses: &[u64]) -> String {
        let names = addresses
            .iter()
            .map(|address| map.lookup(Avma(*address)).unwrap_or("-"));
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ranges_have_a_start_and_an_end() {
        let map = read("10 10 a b\n0x30 0x8 c\n");
        assert_eq!(
            "- a b a b - - c c -",
            named(&map, &[0xf, 0x10, 0x1f, 0x20, 0x2f, 0x30, 0x37, 0x38])
        );
        assert_eq!(0, map.skipped_count());
    }

    #[test]
    fn the_later_line_holds() {
        let inside = read("10 40 old\n20 10 new\n");
        assert_eq!("old new new old", named(&inside, &[0x1f, 0x20, 0x2f, 0x30]));
        let around = read("10 8 a\n18 8 b\n30 8 c\n8 2c new\n");
        assert_eq!(
            "- new new new new c c -",
            named(&around, &[0x7, 0x8, 0x10, 0x18, 0x33, 0x34, 0x37, 0x38])
        );
        let same = read("10 10 old\n10 8 new\n");
        assert_eq!("new new old", named(&same, &[0x10, 0x17, 0x18]));
    }

    #[test]
    fn lines_of_another_form_are_counted() {
        let map = read(
            "\nnonsense\n10\n10 10\n10 10 \n+10 10 sign\n10 -1 sign\n10 0 empty\n\
             ffffffffffffffff 2 beyond\n11111111111111111 1 long\n\
             ffffffffffffffff 0 empty\n20 1 right\r\n",
        );
        assert_eq!(10, map.skipped_count());
        assert_eq!("right", named(&map, &[0x20]));
    }

    #[test]
    fn bounds_hold() {
        let mut text = String::new();
        for number in 0..=PERF_MAP_ENTRIES_MAX {
            writeln!(text, "{:x} 1 n", number * 2).unwrap();
        }
        assert_eq!(2, read(&text).skipped_count());

        let long = format!("10 1 {}", "x".repeat(1 << 20));
        let name = read(&long).lookup(Avma(0x10)).unwrap().len();
        assert!(name <= PERF_MAP_NAME_SIZE_BYTES_MAX + 38);
        assert!(
            PerfMap::read(vec![0xff; 1 << 20].as_slice())
                .unwrap()
                .skipped_count()
                > 0
        );
    }

    #[test]
    fn only_the_owners_file_is_believed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("perf-1.map");
        fs::write(&path, "10 10 a\n").unwrap();
        let owner = fs::metadata(&path).unwrap().uid();
        let map = PerfMap::open(&path, owner).unwrap();
        assert_eq!("a", named(&map, &[0x10]));
        let link = dir.path().join("perf-2.map");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        PerfMap::open(&link, owner).unwrap_err();
        PerfMap::open(dir.path(), owner).unwrap_err();
        PerfMap::open(&dir.path().join("none"), owner).unwrap_err();
        if owner == 0 {
            std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
            PerfMap::open(&path, 12346).unwrap_err();
            PerfMap::open(&path, 12345).unwrap();
        }
    }
}
