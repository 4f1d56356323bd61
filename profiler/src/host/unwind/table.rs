//! Rows and rules of one object file.

use profiler_common::unwind_row::{RuleCode, UnwindRule};

use crate::model::FileOffset;

/// How to step one frame, from an offset on, until the next row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Row {
    /// First byte of code that the row is for.
    pub file_offset: FileOffset,
    /// What to do; the number of a rule is an index into [`UnwindTable::rules`].
    pub code: RuleCode,
}

/// A row in 8 bytes: offset in the upper 48 bits, code below. Sorts by offset.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct PackedRow(pub(super) u64);

/// Bits of a packed row that hold the code.
const CODE_BITS: u32 = 16;
const _: () = assert!(super::limits::FILE_OFFSET_MAX < 1 << (64 - CODE_BITS));

impl PackedRow {
    /// Packs; the upper 16 bits of the offset are lost, and `FILE_OFFSET_MAX` says they are 0.
    pub(super) fn new(file_offset: u64, code: RuleCode) -> Self {
        Self(file_offset << CODE_BITS | u64::from(code.to_u16()))
    }

    /// Offset in the file.
    pub(super) fn file_offset(self) -> u64 {
        self.0 >> CODE_BITS
    }

    /// The code, as a row of the probe carries it.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low half holds the code"
    )]
    pub(super) fn code_u16(self) -> u16 {
        self.0 as u16
    }

    /// The code.
    pub(super) fn code(self) -> RuleCode {
        RuleCode::from_u16(self.code_u16())
    }
}

/// What was met while a table was compiled.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CompileCounts {
    /// Functions whose code has rows.
    pub functions: u32,
    /// Entries that do not parse; their code has no rows.
    pub entries_malformed: u32,
    /// Functions whose instructions break off; the rest of their code is unsupported.
    pub functions_malformed: u32,
    /// Functions that lie in no executable part of the file: what a linker threw away.
    pub functions_outside: u32,
    /// Functions dropped because a limit was reached.
    pub functions_over_limit: u32,
    /// Sections that could not be read or unpacked.
    pub sections_unread: u32,
}

/// How to step one frame from any place in an object file.
///
/// Rows are sorted by offset, neighbours differ in their code, and the last one ends what is known.
/// Code before the first row has no information.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UnwindTable {
    rules: Vec<UnwindRule>,
    rows: Vec<PackedRow>,
    counts: CompileCounts,
}

impl UnwindTable {
    /// Puts a table together; the caller owes sorted rows.
    pub(super) fn new(rules: Vec<UnwindRule>, rows: Vec<PackedRow>, counts: CompileCounts) -> Self {
        debug_assert!(rows.is_sorted_by_key(|row| row.file_offset()));
        Self {
            rules,
            rows,
            counts,
        }
    }

    /// Distinct rules, in the order of their numbers.
    pub fn rules(&self) -> &[UnwindRule] {
        &self.rules
    }

    /// Rows in the order of their offsets.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row> {
        self.rows.iter().map(|row| Row {
            file_offset: FileOffset(row.file_offset()),
            code: row.code(),
        })
    }

    /// What was met on the way; all zero in a table that comes from the cache.
    pub fn counts(&self) -> CompileCounts {
        self.counts
    }

    /// Rows to be changed; the caller owes the promises above.
    pub(super) fn packed_rows_mut(&mut self) -> &mut Vec<PackedRow> {
        &mut self.rows
    }

    /// Rows as they are kept.
    pub(super) fn packed_rows(&self) -> &[PackedRow] {
        &self.rows
    }
}

/// Appends a row, unless it says what the one before says. A row at the same offset replaces.
pub(super) fn push_row(rows: &mut Vec<PackedRow>, file_offset: u64, code: RuleCode) {
    if let Some(last) = rows.last()
        && last.file_offset() == file_offset
    {
        rows.pop();
    }
    let before = rows.last().map_or(RuleCode::NoInfo, |row| row.code());
    if before != code {
        rows.push(PackedRow::new(file_offset, code));
    }
}

#[cfg(test)]
mod tests {
    use profiler_common::unwind_row::RuleCode;

    use super::{PackedRow, push_row};

    #[test]
    fn neighbours_differ_and_the_later_of_two_rows_at_one_place_wins() {
        let mut rows = vec![];
        for (file_offset, code) in [
            (0, RuleCode::NoInfo),
            (4, RuleCode::Rule(1)),
            (6, RuleCode::Rule(1)),
            (8, RuleCode::Rule(2)),
            (8, RuleCode::Rule(1)),
            (9, RuleCode::EndOfStack),
        ] {
            push_row(&mut rows, file_offset, code);
        }
        let expected = [
            PackedRow::new(4, RuleCode::Rule(1)),
            PackedRow::new(9, RuleCode::EndOfStack),
        ];
        assert_eq!(expected.as_slice(), rows);
    }

    #[test]
    fn a_packed_row_keeps_both_halves() {
        let row = PackedRow::new((1 << 48) - 1, RuleCode::NoInfo);
        assert_eq!((1 << 48) - 1, row.file_offset());
        assert_eq!(RuleCode::NoInfo, row.code());
    }
}
