//! The parts of an ELF file that naming needs: segments, sections, notes, links.
//!
//! Little-endian files of both classes. Headers only; contents stay in the file.

use std::rc::Rc;

use super::{
    bytes::FileBytes,
    error::ReadError,
    limits::{NOTE_SIZE_BYTES_MAX, SECTIONS_MAX, SEGMENTS_MAX},
};
use crate::model::{BuildId, FileOffset, Svma};

/// `PT_LOAD`
const SEGMENT_LOAD: u32 = 1;
/// `PF_X`
const SEGMENT_EXECUTABLE: u32 = 1;
/// `SHT_SYMTAB`
pub(super) const SECTION_SYMTAB: u32 = 2;
/// `SHT_NOTE`
const SECTION_NOTE: u32 = 7;
/// `SHT_NOBITS`
const SECTION_NOBITS: u32 = 8;
/// `SHT_DYNSYM`
pub(super) const SECTION_DYNSYM: u32 = 11;
/// `SHF_EXECINSTR`
const SECTION_EXECUTABLE: u64 = 4;
/// `SHF_COMPRESSED`
const SECTION_COMPRESSED: u64 = 0x800;
/// `NT_GNU_BUILD_ID`
const NOTE_BUILD_ID: u32 = 3;

/// An ELF file with its headers read.
#[derive(Debug)]
pub(super) struct Elf {
    /// The file.
    pub bytes: Rc<FileBytes>,
    /// Whether fields have 8 bytes (`ELFCLASS64`) or 4.
    pub is_64: bool,
    /// Loaded segments with content.
    segments: Vec<Segment>,
    /// All sections, so that an index in a symbol finds its section.
    sections: Vec<Section>,
    /// Index of the section that holds section names.
    names_index: usize,
}

/// A loaded part of the file.
#[derive(Clone, Copy, Debug)]
struct Segment {
    /// Whether it holds code.
    is_executable: bool,
    /// Where in the file.
    offset: u64,
    /// Where in memory, as linked.
    address: u64,
    /// Bytes in the file.
    size: u64,
}

/// A section header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    /// Offset in the section of names.
    name: u32,
    /// `SHT_*`
    pub kind: u32,
    /// `SHF_*`
    flags: u64,
    /// Where in memory, as linked.
    pub address: u64,
    /// Where in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Another section that this one needs: the names of a symbol table.
    pub link: u32,
}

impl Section {
    /// Whether the address is in this section, and the section holds code.
    pub(super) fn has_code_at(&self, address: u64) -> bool {
        self.flags & SECTION_EXECUTABLE != 0
            && address
                .checked_sub(self.address)
                .is_some_and(|offset| offset < self.size)
    }

    /// Whether the content starts with a compression header.
    pub(super) fn is_compressed(&self) -> bool {
        self.flags & SECTION_COMPRESSED != 0
    }

    /// Whether it has content in the file.
    fn has_content(&self) -> bool {
        self.kind != SECTION_NOBITS && self.size > 0
    }
}

/// Where the headers of one kind are.
struct Table {
    /// Offset in the file.
    offset: u64,
    /// Bytes from one to the next.
    stride: u64,
    /// How many.
    count: u64,
}

impl Elf {
    /// Reads the headers.
    ///
    /// # Errors
    /// [`ReadError::Malformed`] for anything that is not a little-endian ELF file with headers
    /// inside it.
    pub(super) fn parse(bytes: Rc<FileBytes>) -> Result<Self, ReadError> {
        let mut header = [0; 64];
        let size = usize::try_from(bytes.size_bytes().min(64)).unwrap_or(64);
        bytes.read_at(0, header.get_mut(..size).unwrap_or_default())?;
        let is_64 = match header.get(..6) {
            Some([0x7f, b'E', b'L', b'F', 1, 1]) => false,
            Some([0x7f, b'E', b'L', b'F', 2, 1]) => true,
            _ => return Err(malformed("not a little-endian ELF file")),
        };
        let fields = Fields {
            bytes: &header,
            is_64,
        };
        let segment_table = Table {
            offset: fields.word(28, 32)?,
            stride: fields.half(42, 54)?.into(),
            count: fields.half(44, 56)?.into(),
        };
        let section_table = Table {
            offset: fields.word(32, 40)?,
            stride: fields.half(46, 58)?.into(),
            count: fields.half(48, 60)?.into(),
        };
        let names_index = fields.half(50, 62)?;
        Ok(Self {
            segments: parse_segments(&bytes, is_64, &segment_table)?,
            sections: parse_sections(&bytes, is_64, section_table)?,
            bytes,
            is_64,
            names_index: names_index.into(),
        })
    }

    /// The address that the file was linked to have at this offset. Code wins over data where
    /// segments share a page of the file.
    pub(super) fn address_of(&self, offset: FileOffset) -> Option<Svma> {
        self.segments
            .iter()
            .filter_map(|segment| {
                let inside = offset.0.checked_sub(segment.offset)?;
                let address = segment.address.checked_add(inside)?;
                (inside < segment.size).then_some((segment.is_executable, Svma(address)))
            })
            .max_by_key(|(is_executable, _)| *is_executable)
            .map(|(_, address)| address)
    }

    /// The section with this index.
    pub(super) fn section(&self, index: usize) -> Option<&Section> {
        self.sections.get(index)
    }

    /// The first section of this kind that has content.
    pub(super) fn section_of_kind(&self, kind: u32) -> Option<&Section> {
        self.sections
            .iter()
            .find(|section| section.kind == kind && section.has_content())
    }

    /// The first section of this name that has content.
    pub(super) fn section_named(&self, name: &str) -> Option<&Section> {
        let names = self.section(self.names_index)?;
        self.sections.iter().find(|section| {
            section.has_content() && self.is_name_at(names, section.name, name.as_bytes())
        })
    }

    /// Whether this name, and its end, stand at this place in the section of names.
    fn is_name_at(&self, names: &Section, place: u32, name: &[u8]) -> bool {
        let mut found = [1; 32];
        let size = name.len().saturating_add(1);
        let (Some(found), Some(offset)) = (
            found.get_mut(..size),
            names.offset.checked_add(place.into()),
        ) else {
            return false;
        };
        self.bytes.read_at(offset, found).is_ok()
            && found.strip_suffix(&[0]).is_some_and(|found| found == name)
    }

    /// The linker's fingerprint, from the note sections.
    pub(super) fn build_id(&self) -> Option<BuildId> {
        self.sections
            .iter()
            .filter(|section| section.kind == SECTION_NOTE && section.has_content())
            .find_map(|section| {
                let size = section.size.min(NOTE_SIZE_BYTES_MAX);
                let notes = self.bytes.copy_of(section.offset, size, size).ok()?;
                build_id_in(&notes)
            })
    }

    /// The name and the checksum of the separate debug file, from `.gnu_debuglink`.
    pub(super) fn debug_link(&self) -> Option<(Vec<u8>, u32)> {
        let section = self.section_named(".gnu_debuglink")?;
        let content = self
            .bytes
            .copy_of(section.offset, section.size, NOTE_SIZE_BYTES_MAX)
            .ok()?;
        let (name, checksum) = content.split_last_chunk::<4>()?;
        let end = name.iter().position(|byte| *byte == 0)?;
        let name = name.get(..end).filter(|name| !name.is_empty())?;
        Some((name.to_vec(), u32::from_le_bytes(*checksum)))
    }
}

/// Reads the loaded segments.
fn parse_segments(
    bytes: &FileBytes,
    is_64: bool,
    table: &Table,
) -> Result<Vec<Segment>, ReadError> {
    let mut segments = Vec::new();
    if table.count > SEGMENTS_MAX {
        return Err(malformed("too many program headers"));
    }
    for number in 0..table.count {
        let header = read_header(bytes, table, number)?;
        let fields = Fields {
            bytes: &header,
            is_64,
        };
        let segment = Segment {
            is_executable: fields.double(24, 4)? & SEGMENT_EXECUTABLE != 0,
            offset: fields.word(4, 8)?,
            address: fields.word(8, 16)?,
            size: fields.word(16, 32)?,
        };
        if fields.double(0, 0)? == SEGMENT_LOAD && segment.size > 0 {
            segments.push(segment);
        }
    }
    Ok(segments)
}

/// Reads all section headers.
fn parse_sections(
    bytes: &FileBytes,
    is_64: bool,
    mut table: Table,
) -> Result<Vec<Section>, ReadError> {
    if table.offset == 0 {
        return Ok(Vec::new());
    }
    if table.count == 0 {
        // More than 65,279 sections: their number is in the first one (ELF, "Section header").
        let header = read_header(bytes, &table, 0)?;
        let fields = Fields {
            bytes: &header,
            is_64,
        };
        table.count = fields.word(20, 32)?;
    }
    if table.count > SECTIONS_MAX {
        return Err(malformed("too many section headers"));
    }
    (0..table.count)
        .map(|number| {
            let header = read_header(bytes, &table, number)?;
            let fields = Fields {
                bytes: &header,
                is_64,
            };
            Ok(Section {
                name: fields.double(0, 0)?,
                kind: fields.double(4, 4)?,
                flags: fields.word(8, 8)?,
                address: fields.word(12, 16)?,
                offset: fields.word(16, 24)?,
                size: fields.word(20, 32)?,
                link: fields.double(24, 40)?,
            })
        })
        .collect()
}

/// Reads one header of a table; what it does not fill stays zero.
fn read_header(bytes: &FileBytes, table: &Table, number: u64) -> Result<[u8; 64], ReadError> {
    let mut header = [0; 64];
    let offset = number
        .checked_mul(table.stride)
        .and_then(|skip| skip.checked_add(table.offset))
        .ok_or(malformed("a header table outside the file"))?;
    let size = usize::try_from(table.stride.min(64)).unwrap_or(64);
    bytes.read_at(offset, header.get_mut(..size).unwrap_or_default())?;
    Ok(header)
}

/// Finds the build id among the notes of a section.
fn build_id_in(notes: &[u8]) -> Option<BuildId> {
    let mut rest = notes;
    while let Some((header, content)) = rest.split_first_chunk::<12>() {
        let fields = Fields {
            bytes: header,
            is_64: true,
        };
        let name_size = padded(fields.double(0, 0).ok()?)?;
        let content_size = fields.double(4, 4).ok()?;
        let (name, content) = content.split_at_checked(name_size)?;
        let is_build_id = fields.double(8, 8).ok()? == NOTE_BUILD_ID && name == b"GNU\0";
        if is_build_id {
            return BuildId::new(content.get(..usize::try_from(content_size).ok()?)?);
        }
        rest = content.get(padded(content_size)?..)?;
    }
    None
}

/// Rounds up to the four bytes that notes are aligned to.
fn padded(size: u32) -> Option<usize> {
    usize::try_from(size).ok()?.checked_next_multiple_of(4)
}

/// Fields of a header whose place depends on the class of the file.
pub(super) struct Fields<'bytes> {
    /// The header.
    pub bytes: &'bytes [u8],
    /// Whether the second place of each method holds, or the first.
    pub is_64: bool,
}

impl Fields<'_> {
    /// One byte.
    pub(super) fn byte(&self, at_32: usize, at_64: usize) -> Result<u8, ReadError> {
        Ok(u8::from_le_bytes(self.take(at_32, at_64)?))
    }

    /// Two bytes.
    pub(super) fn half(&self, at_32: usize, at_64: usize) -> Result<u16, ReadError> {
        Ok(u16::from_le_bytes(self.take(at_32, at_64)?))
    }

    /// Four bytes.
    pub(super) fn double(&self, at_32: usize, at_64: usize) -> Result<u32, ReadError> {
        Ok(u32::from_le_bytes(self.take(at_32, at_64)?))
    }

    /// Four bytes in the one class, eight in the other.
    pub(super) fn word(&self, at_32: usize, at_64: usize) -> Result<u64, ReadError> {
        if self.is_64 {
            Ok(u64::from_le_bytes(self.take(at_32, at_64)?))
        } else {
            Ok(self.double(at_32, at_64)?.into())
        }
    }

    /// The bytes of a field.
    fn take<const SIZE: usize>(&self, at_32: usize, at_64: usize) -> Result<[u8; SIZE], ReadError> {
        let at = if self.is_64 { at_64 } else { at_32 };
        self.bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk::<SIZE>())
            .copied()
            .ok_or(malformed("a header that is too short"))
    }
}

/// Says which part of the file does not fit.
pub(super) const fn malformed(what: &'static str) -> ReadError {
    ReadError::Malformed { what }
}
