//! A full disk at the output, for real: a file system of 64 KiB.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use profiler::cli::output::{self, OutputError};

use super::tool;

/// A small file system in a mount namespace of its own; gone with the process that holds it.
struct SmallDisk {
    holder: Child,
    root: PathBuf,
}

impl SmallDisk {
    /// Mounts it on `/mnt`; `None` after a line that says why not.
    fn mount() -> Option<Self> {
        let script = "mount -t tmpfs -o size=64k none /mnt && echo ready && exec sleep 60";
        let mut holder = Command::new(tool::find("unshare")?)
            .args(["--mount", "--map-root-user", "sh", "-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        if let Some(stdout) = holder.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).unwrap();
        }
        if line.trim() != "ready" {
            holder.wait().unwrap();
            tool::skip("no mount namespaces for this user");
            return None;
        }
        let root = PathBuf::from(format!("/proc/{}/root/mnt", holder.id()));
        Some(Self { holder, root })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.holder.kill().unwrap();
        self.holder.wait().unwrap();
    }
}

#[test]
fn a_full_disk_keeps_the_old_file_and_leaves_no_half_one() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let path = disk.root.join("out.svg");
    output::write(&path, b"old").unwrap();
    let error = output::write(&path, &vec![b'x'; 200_000]).unwrap_err();
    assert!(
        matches!(
            &error,
            OutputError::DiskFull {
                size_bytes: 200_000,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!("old", fs::read_to_string(&path).unwrap());
    let names: Vec<_> = fs::read_dir(&disk.root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(vec!["out.svg"], names);
}
