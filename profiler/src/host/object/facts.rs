//! What an object file is.

use object::{
    LittleEndian, ReadRef,
    elf::{
        DF_1_PIE, DT_FLAGS_1, DT_NULL, DT_SONAME, ET_EXEC, PT_DYNAMIC, PT_INTERP, ProgramHeader64,
    },
};

use super::limits::DYNAMIC_SIZE_BYTES_MAX;
use crate::model::BuildId;

/// How an object is loaded.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ObjectKind {
    /// A program that runs at the address it was linked for.
    Static,
    /// A program that runs anywhere, dynamically linked or not.
    Pie,
    /// A shared library; also the dynamic linker and the vDSO.
    Shared,
}

/// The separate file that holds an object's debug information (`.gnu_debuglink`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DebugLink {
    /// Name of the file, without a folder; not necessarily text.
    pub file_name: Vec<u8>,
    /// CRC-32 of the file.
    pub crc: u32,
}

/// What an object file is, as far as it says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    /// How it is loaded.
    pub kind: ObjectKind,
    /// Its identity, if it carries one.
    pub build_id: Option<BuildId>,
    /// Where its debug information went.
    pub debug_link: Option<DebugLink>,
    /// Whether it has a full symbol table (`.symtab`).
    pub has_symbol_table: bool,
    /// Whether it has DWARF (`.debug_info`).
    pub has_debug_info: bool,
    /// Whether it has a packed symbol table (`.gnu_debugdata`).
    pub has_mini_debug_info: bool,
    /// Whether the Go tool chain linked it.
    pub is_go: bool,
}

/// Tells programs from libraries.
///
/// The linker's own mark (`DF_1_PIE`) decides. Programs older than the mark are known by asking
/// for an interpreter without having a library's name; the C library asks for one too.
pub(super) fn kind<'d, R: ReadRef<'d>>(
    elf_type: u16,
    headers: &[ProgramHeader64<LittleEndian>],
    data: R,
) -> ObjectKind {
    if elf_type == ET_EXEC {
        return ObjectKind::Static;
    }
    let dynamic = headers
        .iter()
        .find(|header| header.p_type.get(LittleEndian) == PT_DYNAMIC)
        .and_then(|header| dynamic_table(header, data))
        .unwrap_or_default();
    let asks_interpreter = headers
        .iter()
        .any(|header| header.p_type.get(LittleEndian) == PT_INTERP);
    let is_marked =
        entries(dynamic).any(|(tag, value)| tag == DT_FLAGS_1 && value & u64::from(DF_1_PIE) != 0);
    let is_named = entries(dynamic).any(|(tag, _)| tag == DT_SONAME);
    if is_marked || (asks_interpreter && !is_named) {
        ObjectKind::Pie
    } else {
        ObjectKind::Shared
    }
}

/// Reads the dynamic table, if it is of a plausible size.
fn dynamic_table<'d, R: ReadRef<'d>>(
    header: &ProgramHeader64<LittleEndian>,
    data: R,
) -> Option<&'d [u8]> {
    let size_bytes = header.p_filesz.get(LittleEndian);
    if size_bytes > DYNAMIC_SIZE_BYTES_MAX {
        return None;
    }
    data.read_bytes_at(header.p_offset.get(LittleEndian), size_bytes)
        .ok()
}

/// Tags and values of a dynamic table, up to its end mark.
fn entries(table: &[u8]) -> impl Iterator<Item = (i64, u64)> {
    let (words, _) = table.as_chunks::<8>();
    let (pairs, _) = words.as_chunks::<2>();
    pairs
        .iter()
        .map(|[tag, value]| (i64::from_le_bytes(*tag), u64::from_le_bytes(*value)))
        .take_while(|(tag, _)| *tag != DT_NULL)
}

/// Parses a debug link: a name that ends in zero, padding to 4 bytes, a checksum.
pub(super) fn debug_link(section: &[u8]) -> Option<DebugLink> {
    let end = section.iter().position(|byte| *byte == 0)?;
    let file_name = section.get(..end)?.to_vec();
    let crc_at = end.checked_add(1)?.next_multiple_of(4);
    let crc = section.get(crc_at..)?.first_chunk::<4>()?;
    (!file_name.is_empty()).then(|| DebugLink {
        file_name,
        crc: u32::from_le_bytes(*crc),
    })
}

#[cfg(test)]
mod tests {
    use super::debug_link;

    #[test]
    fn a_debug_link_is_a_name_and_a_checksum() {
        let link = debug_link(b"ab.debug\0\0\0\0\x78\x56\x34\x12").unwrap();
        assert_eq!(b"ab.debug".as_slice(), link.file_name);
        assert_eq!(0x1234_5678, link.crc);
    }

    #[test]
    fn a_debug_link_cut_short_is_none() {
        assert_eq!(None, debug_link(b"ab.debug"));
        assert_eq!(None, debug_link(b"ab.debug\0\0\0\0\x78\x56\x34"));
        assert_eq!(None, debug_link(b"\0\0\0\0\x78\x56\x34\x12"));
    }
}
