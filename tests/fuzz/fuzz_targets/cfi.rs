//! Any bytes as an object file, and any bytes as its call frame sections: the table keeps its
//! promises, and the search in its words finds what its rows say.
//!
//! Bytes that do not begin as an ELF file are a `.debug_frame` if the first one is odd, else an
//! `.eh_frame`.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use profiler::{
    host::{
        object::{LoadSegment, Section, Segments},
        unwind::{CallFrames, UnwindTable, compile, compile_frames, lookup},
    },
    model::{FileOffset, Svma},
};
use profiler_common::unwind_row::RuleCode;

fuzz_target!(|data: &[u8]| {
    if data.starts_with(b"\x7fELF") {
        if let Ok(table) = compile(data) {
            check(&table);
        }
    } else if let Some((kind, bytes)) = data.split_first() {
        let section = Section {
            svma: Svma(0x4000),
            data: Cow::Borrowed(bytes),
        };
        check(&compile_frames(&frames(section, *kind)));
    }
});

/// Two stretches of code around the address of the section.
fn frames(section: Section<'_>, kind: u8) -> CallFrames<'_> {
    let code = |svma, file_offset| LoadSegment {
        file_offset: FileOffset(file_offset),
        svma: Svma(svma),
        file_size_bytes: 0x3000,
        memory_size_bytes: 0x3000,
        is_executable: true,
    };
    let segments = vec![code(0x1000, 0x1000), code(0x10_0000, 0x3_e000)];
    let is_debug_frame = kind & 1 != 0;
    let (eh_frame, debug_frame) = if is_debug_frame {
        (None, Some(section))
    } else {
        (Some(section), None)
    };
    CallFrames {
        eh_frame,
        debug_frame,
        segments: Segments::from(segments),
        has_frame_pointers: kind & 2 != 0,
        sections_unread: 0,
    }
}

/// What holds for every table, wherever it comes from.
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
    assert_eq!(RuleCode::NoInfo, lookup(&words, 0));
    if let Some(last) = rows.last() {
        assert_eq!(RuleCode::NoInfo, last.code);
    }
}
