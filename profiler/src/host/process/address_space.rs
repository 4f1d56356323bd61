//! The executable mappings of one process, sorted.

use super::limits::MAPPINGS_PER_PROCESS_MAX;
use crate::model::{Avma, FileOffset, ObjectId, UserFrame};

/// One executable mapping.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CodeMapping {
    /// First address.
    pub start: Avma,
    /// One past the last address.
    pub end: Avma,
    /// Offset in the file of the byte at `start`.
    pub file_offset: FileOffset,
    /// The file; absent for code made at run time.
    pub object: Option<ObjectId>,
}

/// Sorted mappings that do not overlap.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddressSpace {
    mappings: Vec<CodeMapping>,
}

impl AddressSpace {
    /// The mappings, by address.
    pub fn mappings(&self) -> &[CodeMapping] {
        &self.mappings
    }

    /// Adds a mapping; what it covers of older ones is gone, as mmap(2) has it.
    pub fn insert(&mut self, new: CodeMapping) {
        if new.end <= new.start {
            return;
        }
        let first = self.mappings.partition_point(|old| old.end <= new.start);
        let end = self.mappings.partition_point(|old| old.start < new.end);
        let before = self
            .mappings
            .get(first)
            .copied()
            .filter(|old| old.start < new.start);
        let after = end
            .checked_sub(1)
            .filter(|last| first <= *last)
            .and_then(|last| self.mappings.get(last).copied())
            .filter(|old| new.end < old.end);
        let left = before.map(|old| CodeMapping {
            end: new.start,
            ..old
        });
        let right = after.map(|old| CodeMapping {
            start: new.end,
            file_offset: FileOffset(old.file_offset.0 + (new.end.0 - old.start.0)),
            ..old
        });
        let replacement = left.into_iter().chain([new]).chain(right);
        self.mappings.splice(first..end.max(first), replacement);
        self.mappings.truncate(MAPPINGS_PER_PROCESS_MAX);
    }

    /// The mapping that begins at an address.
    pub fn at(&self, start: Avma) -> Option<CodeMapping> {
        let index = (self.mappings)
            .binary_search_by_key(&start, |mapping| mapping.start)
            .ok()?;
        self.mappings.get(index).copied()
    }

    /// Where an address is.
    pub fn locate(&self, address: Avma) -> Option<UserFrame> {
        let next = self
            .mappings
            .partition_point(|mapping| mapping.start <= address);
        let mapping = self.mappings.get(next.checked_sub(1)?)?;
        if mapping.end <= address {
            return None;
        }
        Some(match mapping.object {
            Some(object) => UserFrame::Object {
                object,
                offset: FileOffset(address.0 - mapping.start.0 + mapping.file_offset.0),
            },
            None => UserFrame::Bare(address),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressSpace, Avma, CodeMapping, FileOffset, ObjectId, UserFrame};

    /// A mapping of object `object` whose file offset equals its address.
    fn mapping(start: u64, end: u64, object: u32) -> CodeMapping {
        CodeMapping {
            start: Avma(start),
            end: Avma(end),
            file_offset: FileOffset(start),
            object: Some(ObjectId(object)),
        }
    }

    #[track_caller]
    fn check(inserted: &[(u64, u64)], expected: &[(u64, u64, u32)]) {
        let mut space = AddressSpace::default();
        for (object, (start, end)) in (0..).zip(inserted) {
            space.insert(mapping(*start, *end, object));
        }
        let expected: Vec<_> = expected
            .iter()
            .map(|(s, e, o)| mapping(*s, *e, *o))
            .collect();
        assert_eq!(expected, space.mappings());
    }

    #[test]
    fn keeps_mappings_sorted() {
        check(
            &[(30, 40), (10, 20), (20, 30)],
            &[(10, 20, 1), (20, 30, 2), (30, 40, 0)],
        );
    }

    #[test]
    fn a_new_mapping_replaces_what_it_covers() {
        check(&[(10, 20), (10, 20)], &[(10, 20, 1)]);
        check(&[(10, 20), (15, 30)], &[(10, 15, 0), (15, 30, 1)]);
        check(&[(10, 20), (5, 15)], &[(5, 15, 1), (15, 20, 0)]);
        check(
            &[(10, 40), (20, 30)],
            &[(10, 20, 0), (20, 30, 1), (30, 40, 0)],
        );
        check(
            &[(10, 20), (20, 30), (30, 40), (15, 35)],
            &[(10, 15, 0), (15, 35, 3), (35, 40, 2)],
        );
        check(&[(10, 20), (30, 30)], &[(10, 20, 0)]);
    }

    #[test]
    fn locates_addresses_inside_mappings_only() {
        let mut space = AddressSpace::default();
        space.insert(CodeMapping {
            file_offset: FileOffset(0x100),
            ..mapping(10, 20, 3)
        });
        let offset = FileOffset(0x105);
        let found = UserFrame::Object {
            object: ObjectId(3),
            offset,
        };
        assert_eq!(Some(found), space.locate(Avma(15)));
        assert_eq!(None, space.locate(Avma(9)));
        assert_eq!(None, space.locate(Avma(20)));
    }
}
