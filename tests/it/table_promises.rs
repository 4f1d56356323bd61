//! What holds for every unwind table, wherever its bytes came from. The fuzz target `cfi` includes
//! this file too.

use std::borrow::Cow;

use profiler::{
    host::{
        object::{LoadSegment, Section, Segments},
        unwind::{CallFrames, UnwindTable, compile, compile_frames, lookup},
    },
    model::{FileOffset, Svma},
};
use profiler_common::unwind_row::RuleCode;

/// Compiles any bytes and checks the table; returns how many rows it has.
///
/// Bytes that begin as an ELF file are one. Of other bytes the first says what the rest is: a
/// `.debug_frame` if it is odd, else an `.eh_frame`; with code that keeps frame pointers if its
/// second bit is set.
pub(crate) fn check_bytes(data: &[u8]) -> usize {
    let table = match data {
        [0x7f, b'E', b'L', b'F', ..] => compile(data).unwrap_or_default(),
        [kind, bytes @ ..] => compile_frames(&frames(bytes, *kind)),
        [] => UnwindTable::default(),
    };
    check(&table);
    table.rows().len()
}

/// A section at 0x4000 with two stretches of code around it.
fn frames(bytes: &[u8], kind: u8) -> CallFrames<'_> {
    let code = |svma, file_offset| LoadSegment {
        file_offset: FileOffset(file_offset),
        svma: Svma(svma),
        file_size_bytes: 0x3000,
        memory_size_bytes: 0x3000,
        is_executable: true,
    };
    let section = Section {
        svma: Svma(0x4000),
        data: Cow::Borrowed(bytes),
    };
    let is_debug_frame = kind & 1 != 0;
    let (eh_frame, debug_frame) = if is_debug_frame {
        (None, Some(section))
    } else {
        (Some(section), None)
    };
    CallFrames {
        eh_frame,
        debug_frame,
        segments: Segments::from(vec![code(0x1000, 0x1000), code(0x10_0000, 0x3_e000)]),
        has_frame_pointers: kind & 2 != 0,
        sections_unread: 0,
    }
}

/// Rows are sorted, differ, name rules that exist, and are what the search finds.
fn check(table: &UnwindTable) {
    let mut number = 0;
    let words = table.encode(&mut |_| {
        number += 1;
        RuleCode::Rule(number - 1)
    });
    let rows: Vec<_> = table.rows().collect();
    for pair in rows.windows(2) {
        assert!(pair[0].file_offset < pair[1].file_offset);
        assert_ne!(pair[0].code, pair[1].code);
        assert_eq!(pair[0].code, lookup(&words, pair[1].file_offset.0 - 1));
    }
    for row in &rows {
        assert_eq!(row.code, lookup(&words, row.file_offset.0));
        if let RuleCode::Rule(number) = row.code {
            assert!(usize::from(number) < table.rules().len());
        }
    }
    let before = rows
        .first()
        .and_then(|row| row.file_offset.0.checked_sub(1));
    if let Some(before) = before {
        assert_eq!(RuleCode::NoInfo, lookup(&words, before));
    }
    if let Some(last) = rows.last() {
        assert_eq!(RuleCode::NoInfo, last.code);
    }
}
