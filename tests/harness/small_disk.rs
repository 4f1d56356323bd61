//! A small file system of its own.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

/// Bytes that are written at once to fill it.
const PIECE_SIZE_BYTES: usize = 4096;

/// A file system in memory; gone with the test.
#[derive(Debug)]
pub struct SmallDisk {
    dir: PathBuf,
    fillers: u32,
}

impl SmallDisk {
    /// Mounts it on a folder; `size` as mount(8) takes it: `8m`.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn mount(dir: &Path, size: &str) -> anyhow::Result<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "small-disk"]);
        let status = mount.arg(dir).status().context("run mount")?;
        ensure!(status.success(), "mount ends with {status}");
        Ok(Self {
            dir: dir.to_owned(),
            fillers: 0,
        })
    }

    /// Takes all the room that is left.
    ///
    /// # Errors
    /// What kept it from being filled.
    pub fn fill(&mut self) -> anyhow::Result<()> {
        use std::io::Write as _;
        self.fillers += 1;
        let path = self.dir.join(format!("filler-{}", self.fillers));
        let mut file = fs::File::create(path).context("create a filler")?;
        let piece = [0; PIECE_SIZE_BYTES];
        loop {
            match file.write_all(&piece) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error).context("write a filler"),
            }
        }
    }

    /// Gives back what [`SmallDisk::fill`] took.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn empty(&mut self) -> anyhow::Result<()> {
        for number in 1..=std::mem::take(&mut self.fillers) {
            fs::remove_file(self.dir.join(format!("filler-{number}")))
                .context("remove a filler")?;
        }
        Ok(())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there, a test that failed for one, keeps it alive.
        let status = Command::new("umount").arg("-l").arg(&self.dir).status();
        assert!(status.is_ok_and(|status| status.success()), "umount");
    }
}
