//! File systems that tracing goes through.

use std::fs;

use crate::command::{Step, can_be_root};

/// Type and place of each.
const MOUNTS: [(&str, &str); 2] = [("tracefs", "/sys/kernel/tracing"), ("bpf", "/sys/fs/bpf")];

/// Mounts what is not mounted. A mount that does not work is said aloud and is no error: a
/// container may have neither, and the profiler says what it misses.
pub(super) fn ensure() {
    let mounted = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for (kind, place) in MOUNTS {
        if is_mounted(&mounted, kind, place) {
            continue;
        }
        let mounts = can_be_root()
            && Step::as_root("mount")
                .args(["-t", kind, kind, place])
                .succeeds();
        if mounts {
            println!("setup: mounted {kind} on {place}");
        } else {
            eprintln!("setup: cannot mount {kind} on {place}");
        }
    }
}

/// Whether the text of `/proc/mounts` has this file system at this place.
fn is_mounted(mounts: &str, kind: &str, place: &str) -> bool {
    mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(1);
        fields.next() == Some(place) && fields.next() == Some(kind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_system_at_the_place_does_not_count() {
        let mounts = "sysfs /sys sysfs rw 0 0\nnone /sys/fs/bpf tmpfs rw 0 0\n\
                      tracefs /sys/kernel/tracing tracefs rw,nosuid 0 0\n";
        assert!(is_mounted(mounts, "tracefs", "/sys/kernel/tracing"));
        assert!(!is_mounted(mounts, "bpf", "/sys/fs/bpf"));
    }
}
