//! Writes an initramfs: the "newc" form of cpio.
//!
//! Source: `Documentation/driver-api/early-userspace/buffer-format.rst` of the kernel.

/// File type bits of a mode.
const FOLDER: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// Header and data are padded to this.
const ALIGNMENT: usize = 4;

/// An archive under construction.
#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    /// Number of the last entry; the kernel takes equal ones for hard links.
    inode: u32,
}

/// One entry.
struct Entry<'a> {
    path: &'a str,
    mode: u32,
    /// Major and minor number, of a device.
    device: (u32, u32),
    data: &'a [u8],
}

impl Archive {
    /// Adds a folder. Folders come before what lies in them.
    pub(super) fn folder(&mut self, path: &str) {
        self.add(&Entry {
            path,
            mode: FOLDER | 0o755,
            device: (0, 0),
            data: &[],
        });
    }

    /// Adds a file that can be executed.
    pub(super) fn program(&mut self, path: &str, data: &[u8]) {
        self.add(&Entry {
            path,
            mode: REGULAR | 0o755,
            device: (0, 0),
            data,
        });
    }

    /// Adds a character device.
    pub(super) fn character_device(&mut self, path: &str, device: (u32, u32)) {
        self.add(&Entry {
            path,
            mode: CHARACTER_DEVICE | 0o600,
            device,
            data: &[],
        });
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.add(&Entry {
            path: "TRAILER!!!",
            mode: 0,
            device: (0, 0),
            data: &[],
        });
        self.bytes
    }

    fn add(&mut self, entry: &Entry<'_>) {
        self.inode += 1;
        let (owner, group, links, time) = (0, 0, 1, 0);
        let size = u32::try_from(entry.data.len()).expect("a guest's programs are below 4 GiB");
        let name_size = u32::try_from(entry.path.len() + 1).expect("paths here are short");
        let fields = [
            self.inode,
            entry.mode,
            owner,
            group,
            links,
            time,
            size,
            0,
            0,
            entry.device.0,
            entry.device.1,
            name_size,
            0,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08X}").bytes());
        }
        self.bytes.extend(entry.path.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(entry.data);
        self.pad();
    }

    fn pad(&mut self) {
        let padded = self.bytes.len().next_multiple_of(ALIGNMENT);
        self.bytes.resize(padded, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, process::Command};

    #[test]
    fn an_entry_has_the_layout_of_the_format() {
        let mut archive = Archive::default();
        archive.program("init", b"hello");
        let bytes = archive.finish();
        let header = "070701\
            00000001000081ED000000000000000000000001000000000000000500000000000000000000000000000000\
            0000000500000000";
        assert_eq!(&bytes[..110], header.as_bytes());
        assert_eq!(&bytes[110..116], b"init\0\0");
        assert_eq!(&bytes[116..124], b"hello\0\0\0");
        assert_eq!(&bytes[124..130], b"070701");
        assert!(bytes.len().is_multiple_of(ALIGNMENT));
    }

    #[test]
    fn busybox_reads_what_is_written() {
        let Ok(probe) = Command::new("busybox").arg("cpio").arg("--help").output() else {
            eprintln!("SKIPPED: needs busybox");
            return;
        };
        drop(probe);
        let mut archive = Archive::default();
        archive.folder("bin");
        archive.program("bin/true", b"#!/bin/sh\n");
        archive.program("init", b"odd");
        let file = std::env::temp_dir().join(format!("profiler-cpio-{}", std::process::id()));
        fs::write(&file, archive.finish()).unwrap();
        let listed = Command::new("busybox")
            .args(["cpio", "-t", "-F"])
            .arg(&file)
            .output()
            .unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&listed.stdout),
            "bin\nbin/true\ninit\n"
        );
    }
}
