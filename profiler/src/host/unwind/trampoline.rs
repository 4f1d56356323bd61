//! Finds signal trampolines that no call frame information describes: those of musl and of Go.
//!
//! A trampoline is code that a handler returns to, nine bytes that ask the kernel to go back to what
//! the signal interrupted. Debuggers know it by these bytes too, so they do not change.

use std::ops::Range;

use profiler_common::unwind_row::RuleCode;

use super::{
    limits::{GAP_SIZE_BYTES_MIN, GAPS_MAX, SEARCHED_SIZE_BYTES_MAX, SEGMENTS_SEARCHED_MAX},
    table::{PackedRow, push_row},
};

/// `mov $15, %rax; syscall`: number 15 is `rt_sigreturn`.
/// Source: `arch/x86/entry/syscalls/syscall_64.tbl` of Linux; user-visible.
const TRAMPOLINE: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05];

/// A run of code that no function describes.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Gap {
    /// Place in the file.
    range: Range<u64>,
    /// What holds there.
    code: RuleCode,
}

/// Marks the trampolines in the gaps of `rows`, as far as they lie in `executable` ranges. `read`
/// gives the bytes of a range of the file.
///
/// Cost: at most [`GAPS_MAX`] reads of [`SEARCHED_SIZE_BYTES_MAX`] in all.
pub(super) fn mark<'d>(
    rows: &mut Vec<PackedRow>,
    executable: &[Range<u64>],
    mut read: impl FnMut(Range<u64>) -> Option<&'d [u8]>,
) {
    let executable = disjoint(executable);
    let mut budget = SEARCHED_SIZE_BYTES_MAX;
    let mut marks = Vec::new();
    for gap in gaps(rows, &executable).take(GAPS_MAX) {
        let end = gap.range.end.min(gap.range.start.saturating_add(budget));
        let bytes = read(gap.range.start..end).unwrap_or_default();
        budget = budget.saturating_sub(end.saturating_sub(gap.range.start));
        for start in find(bytes) {
            mark_one(&mut marks, &gap, gap.range.start.saturating_add(start));
        }
        if budget == 0 {
            break;
        }
    }
    if !marks.is_empty() {
        *rows = merge(rows, marks);
    }
}

/// Ranges in the order of the file, cut where they overlap.
fn disjoint(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| range.start);
    sorted.truncate(SEGMENTS_SEARCHED_MAX);
    let mut covered = 0;
    for range in &mut sorted {
        range.start = range.start.max(covered);
        covered = covered.max(range.end);
    }
    sorted
}

/// The gaps that are large enough to hold a trampoline, in the order of the file.
fn gaps(rows: &[PackedRow], executable: &[Range<u64>]) -> impl Iterator<Item = Gap> {
    let first_end = rows.first().map_or(u64::MAX, |row| row.file_offset());
    let before = (0..first_end, RuleCode::NoInfo);
    let ends = rows.iter().skip(1).map(|row| row.file_offset());
    let spans = rows
        .iter()
        .zip(ends.chain([u64::MAX]))
        .map(|(row, end)| (row.file_offset()..end, row.code()));
    [before]
        .into_iter()
        .chain(spans)
        .filter(|(_, code)| matches!(code, RuleCode::NoInfo | RuleCode::FramePointer))
        .flat_map(|(span, code)| {
            executable.iter().map(move |segment| Gap {
                range: span.start.max(segment.start)..span.end.min(segment.end),
                code,
            })
        })
        .filter(|gap| gap.range.end.saturating_sub(gap.range.start) >= GAP_SIZE_BYTES_MIN)
}

/// Where in `bytes` trampolines begin.
fn find(bytes: &[u8]) -> impl Iterator<Item = u64> {
    (0..)
        .zip(bytes.windows(TRAMPOLINE.len()))
        .filter(|(_, window)| *window == TRAMPOLINE)
        .map(|(start, _)| start)
}

/// Adds the two rows of a trampoline at `start` in a gap.
///
/// A handler's return address is the first byte, and the probe asks about the byte before a return
/// address, so that one is marked too.
fn mark_one(marks: &mut Vec<PackedRow>, gap: &Gap, start: u64) {
    const SIZE_BYTES: u64 = TRAMPOLINE.len() as u64;
    let before = start.saturating_sub(1).max(gap.range.start);
    let end = start.saturating_add(SIZE_BYTES);
    if marks
        .last()
        .is_some_and(|last| before <= last.file_offset())
    {
        // The trampoline before ends here: the two are one.
        marks.pop();
    } else {
        marks.push(PackedRow::new(before, RuleCode::SignalFrame));
    }
    marks.push(PackedRow::new(end, gap.code));
}

/// Puts marks among the rows. Where a mark ends at the next row, that row stays.
fn merge(rows: &[PackedRow], marks: Vec<PackedRow>) -> Vec<PackedRow> {
    let is_taken = |mark: &PackedRow| {
        let place = rows.binary_search_by_key(&mark.file_offset(), |row| row.file_offset());
        mark.code() != RuleCode::SignalFrame && place.is_ok()
    };
    let mut all = rows.to_vec();
    all.extend(marks.into_iter().filter(|mark| !is_taken(mark)));
    // Stable: of two rows at one place the mark comes last, and the last one counts.
    all.sort_by_key(|row| row.file_offset());
    let mut merged = Vec::with_capacity(all.len());
    for row in all {
        push_row(&mut merged, row.file_offset(), row.code());
    }
    merged
}

#[cfg(test)]
mod tests {
    use profiler_common::unwind_row::RuleCode::{self, FramePointer, NoInfo, Rule, SignalFrame};

    use super::{PackedRow, TRAMPOLINE, mark};

    /// Marks an image of 0x200 bytes with code at 0x20..0x1c0 and trampolines at `places`.
    fn marked(rows: &[(u64, RuleCode)], places: &[usize]) -> Vec<(u64, RuleCode)> {
        let mut image = vec![0xcc; 0x200];
        for place in places {
            image[*place..place + 9].copy_from_slice(&TRAMPOLINE);
        }
        let mut rows: Vec<_> = rows
            .iter()
            .map(|(file_offset, code)| PackedRow::new(*file_offset, *code))
            .collect();
        mark(&mut rows, &[0x100..0x1c0, 0x20..0x180], |range| {
            image.get(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap())
        });
        rows.iter()
            .map(|row| (row.file_offset(), row.code()))
            .collect()
    }

    #[test]
    fn code_without_any_information_may_hold_a_trampoline() {
        assert_eq!(
            vec![(0x4f, SignalFrame), (0x59, NoInfo)],
            marked(&[], &[0x50])
        );
        assert_eq!(Vec::<(u64, RuleCode)>::new(), marked(&[], &[]));
    }

    #[test]
    fn one_trampoline_behind_another() {
        let expected = vec![(0x4f, SignalFrame), (0x62, NoInfo)];
        assert_eq!(expected, marked(&[], &[0x50, 0x59]));
    }

    #[test]
    fn behind_a_trampoline_holds_what_held_before() {
        let go = [(0x20, FramePointer), (0x1c0, NoInfo)];
        let expected = vec![
            (0x20, FramePointer),
            (0x4f, SignalFrame),
            (0x59, FramePointer),
            (0x1c0, NoInfo),
        ];
        assert_eq!(expected, marked(&go, &[0x50]));
    }

    #[test]
    fn a_gap_may_be_all_trampoline() {
        let rows = [
            (0x30, Rule(1)),
            (0x40, NoInfo),
            (0x50, Rule(2)),
            (0x60, NoInfo),
        ];
        let expected = vec![
            (0x30, Rule(1)),
            (0x40, NoInfo),
            (0x46, SignalFrame),
            (0x50, Rule(2)),
            (0x60, NoInfo),
        ];
        assert_eq!(expected, marked(&rows, &[0x47]));
        // The byte before belongs to the function there.
        let expected = vec![
            (0x30, Rule(1)),
            (0x40, SignalFrame),
            (0x49, NoInfo),
            (0x50, Rule(2)),
            (0x60, NoInfo),
        ];
        assert_eq!(expected, marked(&rows, &[0x40]));
    }

    #[test]
    fn bytes_that_a_function_describes_are_its_own() {
        let rows = [(0x30, Rule(1)), (0x100, NoInfo)];
        assert_eq!(rows.to_vec(), marked(&rows, &[0x50, 0xf8]));
        // Nor does anything count outside of code.
        assert_eq!(rows.to_vec(), marked(&rows, &[0x10, 0x1b8, 0x1d0]));
    }
}
