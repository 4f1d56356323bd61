//! Functions, in any order and overlapping, to one sorted run of rows.

use std::ops::Range;

use profiler_common::unwind_row::RuleCode;

use super::table::{PackedRow, push_row};

/// The rows of one function, among those of all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Function {
    /// Code in the file, not empty.
    pub code: Range<u64>,
    /// Its rows, by index; the first is for the first byte of code.
    pub rows: Range<usize>,
}

/// Sorts functions by where they begin and joins their rows. `filled` says what holds in gaps.
///
/// Where functions overlap, the one that begins first is believed; of two that begin at one place,
/// the one that was found first.
pub(super) fn assemble(
    mut functions: Vec<Function>,
    rows: &[PackedRow],
    filled: &[Range<u64>],
) -> Vec<PackedRow> {
    functions.sort_by_key(|function| function.code.start);
    let mut joined = Vec::with_capacity(rows.len().saturating_add(functions.len()));
    let mut covered = 0;
    for function in &functions {
        if function.code.end <= covered {
            continue;
        }
        let start = function.code.start.max(covered);
        push_gap(&mut joined, covered..start, filled);
        push_function(&mut joined, start, rows.get(function.rows.clone()));
        covered = function.code.end;
    }
    push_gap(&mut joined, covered..u64::MAX, filled);
    joined
}

/// Appends the rows of a function from `start` on.
fn push_function(joined: &mut Vec<PackedRow>, start: u64, rows: Option<&[PackedRow]>) {
    for row in rows.unwrap_or_default() {
        push_row(joined, row.file_offset().max(start), row.code());
    }
}

/// Appends what holds where no function is: frame pointers in `filled` ranges, elsewhere nothing.
fn push_gap(joined: &mut Vec<PackedRow>, gap: Range<u64>, filled: &[Range<u64>]) {
    if gap.is_empty() {
        return;
    }
    push_row(joined, gap.start, RuleCode::NoInfo);
    for range in filled {
        let start = range.start.max(gap.start);
        let end = range.end.min(gap.end);
        if start < end {
            push_row(joined, start, RuleCode::FramePointer);
            if end < gap.end {
                push_row(joined, end, RuleCode::NoInfo);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use profiler_common::unwind_row::RuleCode::{FramePointer, NoInfo, Rule};

    use super::{Function, PackedRow, assemble};

    /// A segment of Go code, and an empty one.
    const FILLED: [std::ops::Range<u64>; 2] = [0x10..0x80, 0x90..0x90];

    /// Two rows for `code`: number `rule` from the start, one more from the middle.
    fn function(code: std::ops::Range<u64>, rule: u16, rows: &mut Vec<PackedRow>) -> Function {
        let first = rows.len();
        let middle = u64::midpoint(code.start, code.end);
        rows.push(PackedRow::new(code.start, Rule(rule)));
        rows.push(PackedRow::new(middle, Rule(rule + 1)));
        Function {
            code,
            rows: first..rows.len(),
        }
    }

    fn listed(rows: &[PackedRow]) -> Vec<(u64, profiler_common::unwind_row::RuleCode)> {
        rows.iter()
            .map(|row| (row.file_offset(), row.code()))
            .collect()
    }

    #[test]
    fn functions_are_sorted_and_gaps_have_no_information() {
        let mut rows = vec![];
        let functions = vec![
            function(0x40..0x50, 10, &mut rows),
            function(0x10..0x20, 20, &mut rows),
            function(0x20..0x30, 30, &mut rows),
        ];
        let expected = vec![
            (0x10, Rule(20)),
            (0x18, Rule(21)),
            (0x20, Rule(30)),
            (0x28, Rule(31)),
            (0x30, NoInfo),
            (0x40, Rule(10)),
            (0x48, Rule(11)),
            (0x50, NoInfo),
        ];
        assert_eq!(expected, listed(&assemble(functions, &rows, &[])));
    }

    #[test]
    fn of_overlapping_functions_the_earlier_is_believed() {
        let mut rows = vec![];
        let functions = vec![
            function(0x18..0x40, 30, &mut rows),
            function(0x10..0x20, 20, &mut rows),
            function(0x10..0x20, 50, &mut rows),
            function(0x12..0x1c, 60, &mut rows),
        ];
        let expected = vec![
            (0x10, Rule(20)),
            (0x18, Rule(21)),
            (0x20, Rule(30)),
            (0x2c, Rule(31)),
            (0x40, NoInfo),
        ];
        assert_eq!(expected, listed(&assemble(functions, &rows, &[])));
    }

    #[test]
    fn a_filled_range_follows_frame_pointers_where_no_function_is() {
        let mut rows = vec![];
        let functions = vec![function(0x20..0x30, 1, &mut rows)];
        let expected = vec![
            (0x10, FramePointer),
            (0x20, Rule(1)),
            (0x28, Rule(2)),
            (0x30, FramePointer),
            (0x80, NoInfo),
        ];
        assert_eq!(expected, listed(&assemble(functions, &rows, &FILLED)));
        assert_eq!(
            vec![(0x10, FramePointer), (0x80, NoInfo)],
            listed(&assemble(vec![], &[], &FILLED))
        );
    }
}
