//! Addresses that are looked for, ascending.

use std::ops::Range;

use crate::model::Svma;

/// Indexes of the addresses in `begin..end`.
///
/// Empty for a range that begins at zero: linkers move the descriptions of code they dropped
/// there, and no code is where the file's header is.
pub(super) fn within(targets: &[Svma], begin: u64, end: u64) -> Range<usize> {
    if begin == 0 || begin >= end {
        return 0..0;
    }
    let index_of = |address| targets.partition_point(|target| target.0 < address);
    index_of(begin)..index_of(end)
}

#[cfg(test)]
mod tests {
    use super::within;
    use crate::model::Svma;

    #[test]
    fn the_end_is_outside() {
        let targets = [10, 20, 30].map(Svma);
        for ((begin, end), indexes) in [
            ((10, 30), 0..2),
            ((11, 31), 1..3),
            ((31, 40), 3..3),
            ((0, 40), 0..0),
            ((30, 10), 0..0),
        ] {
            assert_eq!(indexes, within(&targets, begin, end));
        }
    }
}
