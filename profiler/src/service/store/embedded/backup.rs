//! A copy that can be opened as a store, made while this one goes on.
//!
//! No part may come or go meanwhile, so flushes and merges wait; batches are still taken and made
//! durable. Parts never change, so they are linked where the file system can.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

use super::{
    engine::{Inner, lock},
    files::{file_error, sync_dir, write_error, write_whole},
    part::{Kind, path_of},
};
use crate::service::store::StoreError;

impl Inner {
    /// Writes a copy into an empty or new folder.
    ///
    /// # Errors
    /// The folder is not empty, or cannot be written.
    pub(super) fn backup(&self, dir: &Path) -> Result<(), StoreError> {
        prepare(dir)?;
        let _compacting = lock(&self.compacting);
        let _flushing = lock(&self.flushing);
        let parts = Arc::clone(&self.state().parts);
        for part in parts.iter() {
            let copy = path_of(dir, part.facts.kind, &part.facts.name);
            link_or_copy(&part.path, &copy)?;
        }
        let segments = lock(&self.wal).durable()?;
        for (path, size) in segments {
            let name = path.file_name().unwrap_or_default();
            copy_start(&path, &dir.join("wal").join(name), size)?;
        }
        lock(&self.catalog).copy_to(&dir.join("catalog.sqlite"))?;
        for kind in Kind::ALL {
            sync_dir(&dir.join(kind.folder()))?;
        }
        sync_dir(&dir.join("wal"))?;
        sync_dir(dir)
    }
}

/// Makes the folders of a copy.
fn prepare(dir: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(dir).map_err(|error| write_error(dir, &error))?;
    let mut entries = fs::read_dir(dir).map_err(|error| file_error(dir, &error))?;
    if entries.next().is_some() {
        return Err(StoreError::File {
            path: dir.display().to_string(),
            reason: "the folder for the copy is not empty".to_owned(),
        });
    }
    for folder in Kind::ALL.map(Kind::folder).into_iter().chain(["wal"]) {
        let folder = dir.join(folder);
        fs::create_dir(&folder).map_err(|error| write_error(&folder, &error))?;
    }
    Ok(())
}

/// Links a file that never changes, or copies it to another file system.
fn link_or_copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    copy_start(from, to, u64::MAX)
}

/// Copies the first bytes of a file, durably.
fn copy_start(from: &Path, to: &Path, size: u64) -> Result<(), StoreError> {
    let source = File::open(from).map_err(|error| file_error(from, &error))?;
    write_whole(to, |file| {
        let copied = io::copy(&mut source.take(size), file);
        copied.map(drop).map_err(|error| write_error(to, &error))
    })
}
