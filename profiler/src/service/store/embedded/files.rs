//! What every writer of files needs: durable renames, and the store's words for the disk's errors.

use std::{
    error::Error,
    fs::{self, File},
    io,
    path::Path,
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

/// Writes a file so that it is whole or not there: aside, synced, renamed. The caller syncs the
/// folder. What was written aside is removed when it fails.
///
/// # Errors
/// What `write` answers, or the disk's error.
pub(super) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let aside = path.with_extension("tmp");
    let written = File::create(&aside)
        .map_err(|error| write_error(&aside, &error))
        .and_then(|mut file| {
            write(&mut file)?;
            file.sync_all().map_err(|error| write_error(&aside, &error))
        })
        .and_then(|()| fs::rename(&aside, path).map_err(|error| write_error(path, &error)));
    if written.is_err() {
        // It may not have been made at all, and the next start sweeps what is left.
        drop(fs::remove_file(&aside));
    }
    written
}
