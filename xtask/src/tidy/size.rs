//! Nothing big is committed by accident.

use std::path::Path;

use super::Finding;

/// Largest file, in bytes. What is larger belongs into a cache, or is made when needed.
const SIZE_BYTES_MAX: u64 = 512 * 1024;

/// Folders of recorded input, where larger files may lie.
const EXEMPT: &[&str] = &["tests/captures", "tests/fuzz/corpus"];

/// Checks the size of one file.
pub(super) fn check(file: &Path, size_bytes: u64) -> Option<Finding> {
    if size_bytes <= SIZE_BYTES_MAX || EXEMPT.iter().any(|folder| file.starts_with(folder)) {
        return None;
    }
    Some(Finding::new(
        file.display(),
        format!("{size_bytes} bytes, at most {SIZE_BYTES_MAX}; make it when it is needed"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_file_passes_and_one_byte_more_does_not() {
        let file = Path::new("docs/picture.svg");
        assert_eq!(check(file, SIZE_BYTES_MAX), None);
        assert!(check(file, SIZE_BYTES_MAX + 1).is_some());
    }

    #[test]
    fn captures_may_be_larger() {
        let file = Path::new("tests/captures/node.ring");
        assert_eq!(check(file, SIZE_BYTES_MAX + 1), None);
    }
}
