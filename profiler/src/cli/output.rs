//! Writes a finished file whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process,
};

/// Why an output could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The disk is full. Nothing is left behind.
    #[error(
        "cannot write {path}: no space left for {size_bytes} bytes; free some or write elsewhere"
    )]
    DiskFull {
        /// Where it should go.
        path: PathBuf,
        /// How much there is to write.
        size_bytes: usize,
    },
    /// The operating system said no. Nothing is left behind.
    #[error("cannot write {path}")]
    Io {
        /// Where it should go.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Writes `bytes` to `path` (`-`: standard output).
///
/// A file is written under another name in the same folder, then renamed: a reader sees the old
/// file or the whole new one, never half of it. Devices and pipes are written directly.
///
/// # Errors
/// [`OutputError`], which names the path.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let result = if path == Path::new("-") {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush())
    } else {
        write_path(path, bytes)
    };
    result.map_err(|source| {
        let path = path.to_owned();
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        if full.contains(&source.kind()) {
            OutputError::DiskFull {
                path,
                size_bytes: bytes.len(),
            }
        } else {
            OutputError::Io { path, source }
        }
    })
}

/// Checks that `path` can be written, without changing what is there: to be told now, not after
/// ten minutes of recording.
///
/// # Errors
/// [`OutputError::Io`], which names the path.
pub fn check(path: &Path) -> Result<(), OutputError> {
    if path == Path::new("-") {
        return Ok(());
    }
    check_path(path).map_err(|source| OutputError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Makes and removes an empty file beside the target; opens what is no regular file.
fn check_path(path: &Path) -> io::Result<()> {
    let target = followed(path)?;
    match fs::metadata(&target) {
        Ok(known) if known.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(known) if !known.is_file() => Ok(()),
        Ok(_) | Err(_) => {
            let beside = partial_path(&target)?;
            File::create(&beside)?;
            fs::remove_file(&beside)
        }
    }
}

/// Writes to a file, device or pipe.
fn write_path(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = followed(path)?;
    match fs::metadata(&target) {
        Ok(known) if known.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(known) if !known.is_file() => OpenOptions::new()
            .write(true)
            .open(&target)?
            .write_all(bytes),
        Ok(_) | Err(_) => replace(&target, bytes),
    }
}

/// The file that a symbolic link stands for, so that the link survives; the path itself otherwise.
fn followed(path: &Path) -> io::Result<PathBuf> {
    match fs::symlink_metadata(path) {
        Ok(known) if known.is_symlink() && path.try_exists()? => fs::canonicalize(path),
        Ok(_) | Err(_) => Ok(path.to_owned()),
    }
}

/// Writes a new file beside the target and renames it.
fn replace(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = partial_path(target)?;
    let written = write_new(&beside, bytes).and_then(|()| fs::rename(&beside, target));
    if written.is_err() {
        // The first error is the one to tell; a file that was never made cannot be removed.
        let _second_error = fs::remove_file(&beside);
    }
    written
}

/// The name a file has while it is written.
fn partial_path(target: &Path) -> io::Result<PathBuf> {
    let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let partial = format!(".{}.{}.partial", name.to_string_lossy(), process::id());
    Ok(target.with_file_name(partial))
}

/// Writes a file to the disk.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    // Some file systems notice only now that they are full.
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use super::{OutputError, write};

    #[test]
    fn a_file_is_replaced_and_a_link_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("a.svg"), dir.path().join("link.svg"));
        write(&file, b"one").unwrap();
        symlink(&file, &link).unwrap();
        write(&link, b"two").unwrap();
        assert_eq!(b"two", fs::read(&file).unwrap().as_slice());
        assert!(link.is_symlink());
        assert_eq!(2, fs::read_dir(dir.path()).unwrap().count());
    }

    #[test]
    fn a_full_device_is_a_clear_error() {
        let error = write(Path::new("/dev/full"), b"x").unwrap_err();
        assert!(matches!(
            &error,
            OutputError::DiskFull { size_bytes: 1, .. }
        ));
        assert!(error.to_string().contains("no space left"), "{error}");
    }

    #[test]
    fn what_cannot_be_written_names_the_path() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("none/x.svg")] {
            let error = write(&path, b"x").unwrap_err();
            assert!(error.to_string().contains(&path.display().to_string()));
        }
        assert_eq!(0, fs::read_dir(dir.path()).unwrap().count());
    }
}
