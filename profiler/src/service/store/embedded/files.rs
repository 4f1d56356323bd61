//! What every writer of files needs: durable renames, and the store's words for the disk's errors.

use std::{
    error::Error,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use crate::service::store::StoreError;

/// An error of reading.
pub(super) fn file_error(path: &Path, error: &dyn Error) -> StoreError {
    StoreError::File {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}

/// An error of writing: no room is told apart.
pub(super) fn write_error(path: &Path, error: &(dyn Error + 'static)) -> StoreError {
    if is_full(error) {
        let reason = format!("{}: {error}", path.display());
        return StoreError::Full { reason };
    }
    file_error(path, error)
}

/// Whether an error or its cause says that the disk has no room.
fn is_full(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(
            io,
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        ) {
            return true;
        }
        if let Some(rusqlite::Error::SqliteFailure(failure, _text)) = error.downcast_ref() {
            return failure.code == rusqlite::ErrorCode::DiskFull;
        }
        next = error.source();
    }
    false
}

/// Makes names in a folder durable.
///
/// # Errors
/// The folder cannot be synced.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|error| write_error(dir, &error))
}

/// A file that is whole or not there: written aside, synced, renamed. What was written aside goes
/// when it is dropped before.
#[derive(Debug)]
pub(super) struct WholeFile {
    /// Where it will be.
    path: PathBuf,
    /// Where it is now.
    aside: PathBuf,
    /// The file itself, to sync it.
    file: File,
}

impl WholeFile {
    /// Makes the file aside, to be written.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn create(path: &Path) -> Result<(Self, File), StoreError> {
        let aside = path.with_extension("tmp");
        let path = path.to_owned();
        let file = File::create(&aside).and_then(|file| Ok((file.try_clone()?, file)));
        let (writer, file) = file.map_err(|error| write_error(&aside, &error))?;
        Ok((Self { path, aside, file }, writer))
    }

    /// Makes the file durable under its name; the caller syncs the folder.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        let synced = self.file.sync_all();
        synced.map_err(|error| write_error(&self.aside, &error))?;
        fs::rename(&self.aside, &self.path).map_err(|error| write_error(&self.path, &error))
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        // It is not there when it was renamed, and the next start sweeps what is left.
        drop(fs::remove_file(&self.aside));
    }
}

/// Writes a [`WholeFile`].
///
/// # Errors
/// What `write` answers, or the disk's error.
pub(super) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (whole, mut file) = WholeFile::create(path)?;
    write(&mut file)?;
    whole.finish()
}
