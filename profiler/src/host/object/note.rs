//! Notes: where linkers leave the build id.

use object::{
    LittleEndian, ReadRef,
    elf::{FileHeader64, NT_GNU_BUILD_ID, PT_NOTE, ProgramHeader64, SHT_NOTE, SectionHeader64},
    read::elf::NoteIterator,
};

use super::limits::{NOTES_MAX, NOTES_SIZE_BYTES_MAX};
use crate::model::BuildId;

/// A range of the file that holds notes.
struct NoteRange {
    offset: u64,
    size_bytes: u64,
    align: u64,
}

/// Finds the build id in the note segments, or else in the note sections.
///
/// Notes that do not parse are passed over: an object without a build id is a normal thing.
pub(super) fn build_id<'d, R: ReadRef<'d>>(
    segments: &[ProgramHeader64<LittleEndian>],
    sections: &[SectionHeader64<LittleEndian>],
    data: R,
) -> Option<BuildId> {
    let in_segments = segments
        .iter()
        .filter(|header| header.p_type.get(LittleEndian) == PT_NOTE)
        .map(|header| NoteRange {
            offset: header.p_offset.get(LittleEndian),
            size_bytes: header.p_filesz.get(LittleEndian),
            align: header.p_align.get(LittleEndian),
        });
    let in_sections = sections
        .iter()
        .filter(|header| header.sh_type.get(LittleEndian) == SHT_NOTE)
        .map(|header| NoteRange {
            offset: header.sh_offset.get(LittleEndian),
            size_bytes: header.sh_size.get(LittleEndian),
            align: header.sh_addralign.get(LittleEndian),
        });
    in_segments
        .chain(in_sections)
        .find_map(|range| build_id_in(&range, data))
}

/// Finds the build id in one range of notes.
fn build_id_in<'d, R: ReadRef<'d>>(range: &NoteRange, data: R) -> Option<BuildId> {
    if range.size_bytes > NOTES_SIZE_BYTES_MAX {
        return None;
    }
    let bytes = data.read_bytes_at(range.offset, range.size_bytes).ok()?;
    let notes =
        NoteIterator::<FileHeader64<LittleEndian>>::new(LittleEndian, range.align, bytes).ok()?;
    notes
        .take(NOTES_MAX)
        .filter_map(Result::ok)
        .filter(|note| note.name() == b"GNU" && note.n_type(LittleEndian) == NT_GNU_BUILD_ID)
        .find_map(|note| BuildId::new(note.desc()))
}
