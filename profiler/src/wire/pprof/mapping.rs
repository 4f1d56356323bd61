//! How the kind of a frame travels: in the name of its mapping.

use crate::model::FrameKind;

/// Name of the mapping of kernel code without a file; every kernel mapping begins like it.
const KERNEL: &str = "[kernel";
/// Name of the mapping of code made at run time; every such mapping begins like it.
const JIT: &str = "[jit";
/// Names that other profilers give to kernel mappings.
const FOREIGN_KERNEL: [&str; 3] = ["[guest.kernel", "/proc/kcore", "vmlinux"];
/// Names that other profilers give to code made at run time.
const FOREIGN_JIT: [&str; 3] = ["//anon", "[anon", "/tmp/perf-"];
/// Endings of kernel modules, compressed or not.
const MODULE_ENDINGS: [&str; 4] = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"];
/// Addresses from here on are the kernel's (x86-64 and aarch64).
const KERNEL_ADDRESS_MIN: u64 = 1 << 63;

/// The mapping's name for a frame of this kind in the object at `path`; `None` when it needs none.
pub(super) fn name(kind: FrameKind, path: Option<&str>) -> Option<String> {
    let path_kind = path.map(|path| kind_of(path, 0));
    match (kind, path) {
        (FrameKind::Truncated | FrameKind::Table, _) | (FrameKind::Native, None) => None,
        (FrameKind::Kernel, None) => Some(format!("{KERNEL}]")),
        (FrameKind::Jit, None) => Some(format!("{JIT}]")),
        (_, Some(path)) if path_kind == Some(kind) => Some(path.to_owned()),
        (FrameKind::Kernel, Some(path)) => Some(format!("{KERNEL}:{path}]")),
        (FrameKind::Jit, Some(path)) => Some(format!("{JIT}:{path}]")),
        (FrameKind::Native, Some(path)) => Some(path.to_owned()),
    }
}

/// The object's path in a mapping's name.
pub(super) fn path(name: &str) -> &str {
    let inside = |prefix| {
        let rest = name.strip_prefix(prefix)?;
        rest.strip_prefix(':')?.strip_suffix(']')
    };
    inside(KERNEL).or_else(|| inside(JIT)).unwrap_or(name)
}

/// What a frame in a mapping of this name at this address is.
pub(super) fn kind_of(name: &str, address: u64) -> FrameKind {
    let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    let is_module = MODULE_ENDINGS.iter().any(|end| name.ends_with(end));
    let is_image = name
        .rsplit('/')
        .next()
        .is_some_and(|n| n.starts_with("vmlinux"));
    if name.starts_with(KERNEL)
        || begins(&FOREIGN_KERNEL)
        || is_module
        || is_image
        || address >= KERNEL_ADDRESS_MIN
    {
        FrameKind::Kernel
    } else if name.starts_with(JIT) || begins(&FOREIGN_JIT) {
        FrameKind::Jit
    } else {
        FrameKind::Native
    }
}

#[cfg(test)]
mod tests {
    use super::{kind_of, name, path};
    use crate::model::FrameKind;

    #[test]
    fn kind_and_path_survive_the_round_trip() {
        let paths = [
            "/usr/lib/libc.so.6",
            "[kernel]",
            "[nf_tables]",
            "[vdso]",
            "[jit]",
        ];
        for kind in [FrameKind::Kernel, FrameKind::Jit] {
            for object in paths {
                let name = name(kind, Some(object)).unwrap();
                assert_eq!((kind, object), (kind_of(&name, 0), path(&name)), "{name}");
            }
        }
    }

    #[test]
    fn native_code_without_a_file_has_no_mapping() {
        assert_eq!(None, name(FrameKind::Native, None));
        assert_eq!(Some("[kernel]"), name(FrameKind::Kernel, None).as_deref());
        assert_eq!(FrameKind::Native, kind_of("[vdso]", 0x1000));
        assert_eq!(FrameKind::Kernel, kind_of("", u64::MAX));
    }
}
