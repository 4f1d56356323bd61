//! Tables kept between runs, by build id. The one file of this stage that touches the disk.
//!
//! Each table is written beside its name and renamed, so that a reader finds it whole or not at
//! all. A file that does not check out is removed, and its table compiled again. When a file was
//! last of use is told by its modification time: a load writes the magic anew, which changes
//! nothing else.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    UnwindTable,
    cache_format::{FILE_SIZE_BYTES_MAX, MAGIC, decode, encode},
    limits::CACHE_FILES_MAX,
};
use crate::model::BuildId;

/// Ends the name of a table.
const SUFFIX: &str = ".unwind";
/// Ends the name of a file that is not yet a table.
const SUFFIX_UNFINISHED: &str = ".unfinished";

/// Why the cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The folder cannot be made or listed.
    #[error("cannot use {path} as a cache")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A table cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A folder of tables, bounded in size. One process uses it at a time.
#[derive(Debug)]
pub struct TableCache {
    folder: PathBuf,
    size_bytes_max: u64,
    /// Size of all tables, as far as this process knows.
    size_bytes: AtomicU64,
    /// Files that did not check out, or could not be removed.
    rejected: AtomicU64,
}

/// A table on disk.
struct Kept {
    path: PathBuf,
    size_bytes: u64,
    /// Seconds and nanoseconds; only compared.
    used: (i64, i64),
}

impl TableCache {
    /// Opens a folder, making it if need be; what a killed process left half-written is removed.
    ///
    /// # Errors
    /// A folder that cannot be made or listed.
    pub fn open(folder: &Path, size_bytes_max: u64) -> Result<Self, CacheError> {
        let cache = Self {
            folder: folder.to_owned(),
            size_bytes_max,
            size_bytes: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
        };
        fs::create_dir_all(folder).map_err(|source| cache.folder_error(source))?;
        cache.remove_unfinished()?;
        cache.shrink()?;
        Ok(cache)
    }

    /// The table of an object, if there is one that checks out.
    pub fn load(&self, id: &BuildId) -> Option<UnwindTable> {
        let path = self.path(id);
        let mut file = OpenOptions::new().read(true).write(true).open(&path).ok()?;
        let Some(table) = read(&mut file).and_then(|bytes| decode(&bytes, id)) else {
            self.reject(&path);
            return None;
        };
        // A table that cannot be marked as used is merely forgotten sooner.
        if file.write_all_at(&MAGIC, 0).is_err() {
            self.count_rejected();
        }
        Some(table)
    }

    /// Keeps a table. One that is larger than the whole cache is passed over.
    ///
    /// # Errors
    /// A file that cannot be written or renamed: a full disk, most of all.
    pub fn save(&self, id: &BuildId, table: &UnwindTable) -> Result<(), CacheError> {
        let bytes = encode(id, table);
        let size_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if size_bytes > self.size_bytes_max {
            return Ok(());
        }
        let path = self.path(id);
        let unfinished = self.folder.join(format!("{id}{SUFFIX_UNFINISHED}"));
        let written = write(&unfinished, &bytes).and_then(|()| fs::rename(&unfinished, &path));
        if let Err(source) = written {
            self.remove(&unfinished);
            return Err(CacheError::Write { path, source });
        }
        let before = self.size_bytes.fetch_add(size_bytes, Ordering::Relaxed);
        if before.saturating_add(size_bytes) > self.size_bytes_max {
            self.shrink()?;
        }
        Ok(())
    }

    /// Files met so far that did not check out, or could not be removed or marked.
    pub fn rejected_count(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Where the table of an object is.
    fn path(&self, id: &BuildId) -> PathBuf {
        self.folder.join(format!("{id}{SUFFIX}"))
    }

    /// Removes the tables that were of no use for longest, until three quarters are left: then the
    /// folder is listed once for many tables.
    fn shrink(&self) -> Result<(), CacheError> {
        let mut kept = self.list()?;
        kept.sort_by_key(|file| std::cmp::Reverse(file.used));
        let mut total = kept
            .iter()
            .map(|file| file.size_bytes)
            .fold(0, u64::saturating_add);
        if total > self.size_bytes_max || kept.len() > CACHE_FILES_MAX {
            let goal = self.size_bytes_max.saturating_sub(self.size_bytes_max / 4);
            while total > goal || kept.len() > CACHE_FILES_MAX {
                let Some(oldest) = kept.pop() else { break };
                self.remove(&oldest.path);
                total = total.saturating_sub(oldest.size_bytes);
            }
        }
        self.size_bytes.store(total, Ordering::Relaxed);
        Ok(())
    }

    /// Lists the tables.
    fn list(&self) -> Result<Vec<Kept>, CacheError> {
        let mut kept = Vec::new();
        for path in self.paths_ending_in(SUFFIX)? {
            // A file that went away meanwhile takes no room.
            if let Ok(metadata) = fs::metadata(&path) {
                kept.push(Kept {
                    path,
                    size_bytes: metadata.len(),
                    used: (metadata.mtime(), metadata.mtime_nsec()),
                });
            }
        }
        Ok(kept)
    }

    /// Removes what was being written when a process died.
    fn remove_unfinished(&self) -> Result<(), CacheError> {
        for path in self.paths_ending_in(SUFFIX_UNFINISHED)? {
            self.remove(&path);
        }
        Ok(())
    }

    /// Files of the folder with a name that ends in `suffix`.
    fn paths_ending_in(&self, suffix: &str) -> Result<Vec<PathBuf>, CacheError> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(|source| self.folder_error(source))? {
            let entry = entry.map_err(|source| self.folder_error(source))?;
            if entry
                .file_name()
                .as_encoded_bytes()
                .ends_with(suffix.as_bytes())
            {
                paths.push(entry.path());
            }
        }
        Ok(paths)
    }

    /// Counts and removes a file that does not check out.
    fn reject(&self, path: &Path) {
        self.count_rejected();
        self.remove(path);
    }

    /// Removes a file; one that stays is counted.
    fn remove(&self, path: &Path) {
        let gone = match fs::remove_file(path) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !gone {
            self.count_rejected();
        }
    }

    /// Counts one more.
    fn count_rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// An error about the folder.
    fn folder_error(&self, source: io::Error) -> CacheError {
        CacheError::Folder {
            path: self.folder.clone(),
            source,
        }
    }
}

/// Reads a whole file, if it is of a plausible size.
fn read(file: &mut File) -> Option<Vec<u8>> {
    let size_bytes = file.metadata().ok()?.len();
    if size_bytes > FILE_SIZE_BYTES_MAX {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(size_bytes).ok()?];
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// Writes a whole file, over whatever is there.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::{FILE_SIZE_BYTES_MAX, SUFFIX_UNFINISHED, TableCache};
    use crate::{
        host::unwind::{UnwindTable, compile},
        model::BuildId,
    };

    fn own_table() -> UnwindTable {
        let image = fs::read("/proc/self/exe").unwrap();
        compile(image.as_slice()).unwrap()
    }

    fn id(number: u8) -> BuildId {
        BuildId::new(&[number; 20]).unwrap()
    }

    #[track_caller]
    fn assert_same(expected: &UnwindTable, found: &UnwindTable) {
        assert_eq!(expected.rules(), found.rules());
        assert!(expected.rows().eq(found.rows()));
    }

    #[test]
    fn a_table_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let cache = TableCache::open(folder.path(), 1 << 30).unwrap();
        let table = own_table();
        assert!(cache.load(&id(1)).is_none());
        cache.save(&id(1), &table).unwrap();
        assert_same(&table, &cache.load(&id(1)).unwrap());
        assert!(cache.load(&id(2)).is_none());
        let again = TableCache::open(folder.path(), 1 << 30).unwrap();
        assert_same(&table, &again.load(&id(1)).unwrap());
        assert_eq!(0, again.rejected_count());
    }

    #[test]
    fn a_file_that_does_not_check_out_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = TableCache::open(folder.path(), 1 << 30).unwrap();
        cache.save(&id(1), &own_table()).unwrap();
        let good = fs::read(cache.path(&id(1))).unwrap();
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for bad in [&flipped[..], &good[..good.len() - 1], &good[..40], b""] {
            fs::write(cache.path(&id(1)), bad).unwrap();
            assert!(cache.load(&id(1)).is_none());
            assert!(!cache.path(&id(1)).try_exists().unwrap());
        }
        // Another object's table under this name.
        fs::write(cache.path(&id(2)), &good).unwrap();
        assert!(cache.load(&id(2)).is_none());
        assert_eq!(5, cache.rejected_count());
    }

    #[test]
    fn a_file_of_absurd_size_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let cache = TableCache::open(folder.path(), 1 << 30).unwrap();
        let file = fs::File::create(cache.path(&id(1))).unwrap();
        file.set_len(FILE_SIZE_BYTES_MAX + 1).unwrap();
        assert!(cache.load(&id(1)).is_none());
        assert_eq!(1, cache.rejected_count());
    }

    #[test]
    fn the_table_of_no_use_for_longest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let table = own_table();
        let unbounded = TableCache::open(folder.path(), 1 << 30).unwrap();
        for number in 1..=4 {
            unbounded.save(&id(number), &table).unwrap();
            let file = fs::File::open(unbounded.path(&id(number))).unwrap();
            let time = std::time::UNIX_EPOCH + Duration::from_secs(number.into());
            file.set_modified(time).unwrap();
        }
        // The oldest is used once more.
        unbounded.load(&id(1)).unwrap();
        let size_bytes = fs::metadata(unbounded.path(&id(1))).unwrap().len();
        let bounded = TableCache::open(folder.path(), 4 * size_bytes).unwrap();
        bounded.save(&id(5), &table).unwrap();
        let left: Vec<_> = (1..=5)
            .filter(|number| bounded.load(&id(*number)).is_some())
            .collect();
        assert_eq!(vec![1, 4, 5], left);
    }

    #[test]
    fn what_was_half_written_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let half = folder.path().join(format!("aa{SUFFIX_UNFINISHED}"));
        fs::write(&half, b"half").unwrap();
        TableCache::open(folder.path(), 1 << 30).unwrap();
        assert!(!half.try_exists().unwrap());
    }
}
