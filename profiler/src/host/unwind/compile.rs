//! Call frame information of one object to its table.

use std::ops::Range;

use gimli::{BaseAddresses, DebugFrame, EhFrame, LittleEndian};
use object::ReadRef;

use super::{
    CompileCounts, CompileError, UnwindTable,
    assemble::{Function, assemble},
    cie::{Cies, Fde},
    entry::{FrameSection, FunctionOffsets},
    limits::{FILE_OFFSET_MAX, FUNCTIONS_MAX, ROWS_MAX},
    machine::Machine,
    row_writer::RowWriter,
    rule_set::RuleSet,
    table::PackedRow,
    trampoline,
};
use crate::{
    host::object::{LoadSegment, Object, Section, Segments},
    model::Svma,
};

/// The parts of an object that a table is compiled from.
#[derive(Clone, Debug, Default)]
pub struct CallFrames<'d> {
    /// `.eh_frame`
    pub eh_frame: Option<Section<'d>>,
    /// `.debug_frame`: for code that `.eh_frame` does not describe.
    pub debug_frame: Option<Section<'d>>,
    /// Where code lies in the file.
    pub segments: Segments,
    /// Whether code that nothing describes keeps its frame pointer, as Go's does.
    pub has_frame_pointers: bool,
    /// Sections that could not be read.
    pub sections_unread: u32,
}

/// Compiles the call frame information of an object into rows the probe can search.
///
/// In: the bytes of an ELF file; for a file on disk a reference to an `object::ReadCache`.
/// Out: a table whose rows are in file offsets; gaps between functions have no information.
/// Cost: one pass over the sections, 8 bytes for a row twice over and 40 for a function.
///
/// # Errors
/// An object that cannot be read. Entries that do not parse are counted, not an error.
///
/// Source: DWARF 5 §6.4; System V ABI x86-64 §4.2.4 for how `.eh_frame` differs.
pub fn compile<'d, R: ReadRef<'d>>(data: R) -> Result<UnwindTable, CompileError> {
    let object = Object::parse(data).map_err(CompileError::Object)?;
    compile_object(&object)
}

/// [`compile`] for an object whose headers have been read already.
///
/// # Errors
/// A `.eh_frame` that cannot be read.
pub fn compile_object<'d, R: ReadRef<'d>>(
    object: &Object<'d, R>,
) -> Result<UnwindTable, CompileError> {
    let is_go = object.is_go();
    // Go's .debug_frame says neither where rbp was saved nor how to get across a switch of stacks;
    // its frame pointers do both. Its .eh_frame is that of the C code linked in.
    let debug_frame = if is_go {
        Ok(None)
    } else {
        object.section(b".debug_frame")
    };
    let eh_frame = object
        .section(b".eh_frame")
        .map_err(CompileError::EhFrame)?;
    let mut table = compile_frames(&CallFrames {
        eh_frame,
        sections_unread: u32::from(debug_frame.is_err()),
        debug_frame: debug_frame.unwrap_or_default(),
        segments: object.segments().clone(),
        has_frame_pointers: is_go,
    });
    let code: Vec<_> = near_code(object.segments())
        .map(|segment| segment.file_offset.0..segment.file_end().0)
        .collect();
    trampoline::mark(table.packed_rows_mut(), &code, |range| object.bytes(range));
    Ok(table)
}

/// Executable segments below [`FILE_OFFSET_MAX`].
fn near_code(segments: &Segments) -> impl Iterator<Item = &LoadSegment> {
    segments
        .executable()
        .filter(|segment| segment.file_end().0 <= FILE_OFFSET_MAX)
}

/// Compiles sections that were read before, or do not come from a file.
pub fn compile_frames(frames: &CallFrames<'_>) -> UnwindTable {
    let mut compiler = Compiler::new(frames);
    if let Some(section) = &frames.eh_frame {
        let bases = BaseAddresses::default().set_eh_frame(section.svma.0);
        compiler.add(&EhFrame::new(&section.data, LittleEndian), &bases);
    }
    if let Some(section) = &frames.debug_frame {
        let bases = BaseAddresses::default();
        compiler.add(&DebugFrame::new(&section.data, LittleEndian), &bases);
    }
    compiler.finish(frames.has_frame_pointers)
}

/// What has been compiled so far.
#[derive(Debug)]
struct Compiler {
    /// Executable segments, below [`FILE_OFFSET_MAX`].
    segments: Vec<LoadSegment>,
    /// The one that held the last function.
    segment: Option<LoadSegment>,
    rules: RuleSet,
    rows: Vec<PackedRow>,
    functions: Vec<Function>,
    counts: CompileCounts,
}

impl Compiler {
    /// Starts with the places where code may be.
    fn new(frames: &CallFrames<'_>) -> Self {
        Self {
            segments: near_code(&frames.segments).copied().collect(),
            segment: None,
            rules: RuleSet::new(),
            rows: Vec::new(),
            functions: Vec::new(),
            counts: CompileCounts {
                sections_unread: frames.sections_unread,
                ..CompileCounts::default()
            },
        }
    }

    /// Compiles every function of a section.
    fn add<'d, S: FrameSection<'d>>(&mut self, section: &S, bases: &BaseAddresses) {
        let bytes = *section.section();
        let mut cies = Cies::new(section, bases);
        let mut machine = None;
        for offset in FunctionOffsets::new::<S>(bytes.slice()) {
            let Some(fde) = cies.function(offset) else {
                add_one(&mut self.counts.entries_malformed);
                continue;
            };
            let Some(code) = self.locate(&fde) else {
                add_one(&mut self.counts.functions_outside);
                continue;
            };
            if self.rows.len() >= ROWS_MAX || self.functions.len() >= FUNCTIONS_MAX {
                add_one(&mut self.counts.functions_over_limit);
                continue;
            }
            let machine = machine.get_or_insert_with(|| Machine::new(bytes, fde.cie.start));
            let first = self.rows.len();
            let mut writer = RowWriter::new(&mut self.rules, &mut self.rows, code.clone());
            if writer.write(&fde, machine, (section, bases)).is_err() {
                add_one(&mut self.counts.functions_malformed);
            }
            add_one(&mut self.counts.functions);
            self.functions.push(Function {
                code,
                rows: first..self.rows.len(),
            });
        }
    }

    /// Finds a function's code in the file, cut where its segment ends.
    ///
    /// Address 0 is what linkers leave in `.debug_frame` for a function they threw away.
    fn locate(&mut self, fde: &Fde<'_>) -> Option<Range<u64>> {
        let address = Svma(fde.entry.initial_address());
        if address == Svma(0) {
            return None;
        }
        let within = |segment: &LoadSegment| segment.to_file_offset(address).is_some();
        if !self.segment.as_ref().is_some_and(within) {
            self.segment = self.segments.iter().copied().find(within);
        }
        let segment = self.segment.as_ref()?;
        let start = segment.to_file_offset(address)?.0;
        let end = start
            .saturating_add(fde.entry.len())
            .min(segment.file_end().0);
        (start < end).then_some(start..end)
    }

    /// Joins what was compiled.
    fn finish(self, has_frame_pointers: bool) -> UnwindTable {
        let mut filled: Vec<_> = self
            .segments
            .iter()
            .filter(|_| has_frame_pointers)
            .map(|segment| segment.file_offset.0..segment.file_end().0)
            .collect();
        filled.sort_by_key(|range| range.start);
        let rows = assemble(self.functions, &self.rows, &filled);
        UnwindTable::new(self.rules.into_rules(), rows, self.counts)
    }
}

/// Counts one more.
fn add_one(count: &mut u32) {
    *count = count.saturating_add(1);
}
