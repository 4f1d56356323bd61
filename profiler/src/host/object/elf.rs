//! One object file, its headers read and checked.

use std::ops::Range;

use object::{
    LittleEndian, ReadRef,
    elf::{
        ELFCLASS64, ELFDATA2LSB, ELFMAG, EM_X86_64, ET_DYN, ET_EXEC, FileHeader64, ProgramHeader64,
    },
    read::elf::{FileHeader as _, SectionTable},
};

use super::{
    Facts, ObjectError, Section, Segments, facts,
    limits::{DEBUG_LINK_SIZE_BYTES_MAX, PROGRAM_HEADERS_MAX, SECTIONS_MAX},
    note, section,
};
use crate::model::BuildId;

/// The header of the only class and byte order that is read.
type Header = FileHeader64<LittleEndian>;

/// An object file, read on demand.
///
/// Cost: three reads for the headers; each section is read when it is asked for.
#[derive(Debug)]
pub struct Object<'d, R: ReadRef<'d>> {
    data: R,
    elf_type: u16,
    program_headers: &'d [ProgramHeader64<LittleEndian>],
    segments: Segments,
    sections: SectionTable<'d, Header, R>,
}

impl<'d, R: ReadRef<'d>> Object<'d, R> {
    /// Reads the headers. For a file, pass a reference to an `object::ReadCache`.
    ///
    /// # Errors
    /// Anything but a linked x86-64 ELF object, and headers that lie outside of the file.
    pub fn parse(data: R) -> Result<Self, ObjectError> {
        let header = check_ident(data)?;
        let elf_type = check_type(header)?;
        let program_headers = program_headers(header, data)?;
        let size_bytes = data.len().unwrap_or(0);
        Ok(Self {
            data,
            elf_type,
            program_headers,
            segments: Segments::new(program_headers, size_bytes),
            sections: sections(header, data)?,
        })
    }

    /// The load segments.
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The object's identity, from its notes.
    pub fn build_id(&self) -> Option<BuildId> {
        let sections = self.sections.iter().as_slice();
        note::build_id(self.program_headers, sections, self.data)
    }

    /// Whether there is a section of this name.
    pub fn has_section(&self, name: &[u8]) -> bool {
        self.sections.section_by_name(LittleEndian, name).is_some()
    }

    /// Whether the Go tool chain linked the object.
    pub fn is_go(&self) -> bool {
        [b".gopclntab".as_slice(), b".note.go.buildid"]
            .iter()
            .any(|name| self.has_section(name))
    }

    /// Bytes of the file; `None` if a part of them lies outside of it. The caller bounds the size.
    pub fn bytes(&self, range: Range<u64>) -> Option<&'d [u8]> {
        let size_bytes = range.end.checked_sub(range.start)?;
        self.data.read_bytes_at(range.start, size_bytes).ok()
    }

    /// The bytes of the section of this name, unpacked; `None` if there is none.
    ///
    /// # Errors
    /// A section that is too large, lies outside of the file, or does not unpack.
    pub fn section(&self, name: &[u8]) -> Result<Option<Section<'d>>, ObjectError> {
        match self.sections.section_by_name(LittleEndian, name) {
            None => Ok(None),
            Some((_, header)) => section::read(header, self.data),
        }
    }

    /// Everything there is to say about the object.
    pub fn facts(&self) -> Facts {
        Facts {
            kind: facts::kind(self.elf_type, self.program_headers, self.data),
            build_id: self.build_id(),
            debug_link: self.debug_link(),
            has_symbol_table: self.has_section(b".symtab"),
            has_debug_info: self.has_section(b".debug_info"),
            has_mini_debug_info: self.has_section(b".gnu_debugdata"),
            is_go: self.is_go(),
        }
    }

    /// The separate file with debug information; one that does not parse counts as none.
    fn debug_link(&self) -> Option<facts::DebugLink> {
        let (_, header) = self
            .sections
            .section_by_name(LittleEndian, b".gnu_debuglink")?;
        if header.sh_size.get(LittleEndian) > DEBUG_LINK_SIZE_BYTES_MAX {
            return None;
        }
        let section = section::read(header, self.data).ok()??;
        facts::debug_link(&section.data)
    }
}

/// Reads the file header and checks what it was made for.
fn check_ident<'d, R: ReadRef<'d>>(data: R) -> Result<&'d Header, ObjectError> {
    let magic = data.read_bytes_at(0, 4).map_err(|()| ObjectError::NotElf)?;
    if magic != ELFMAG {
        return Err(ObjectError::NotElf);
    }
    let header = data
        .read_at::<Header>(0)
        .map_err(|()| ObjectError::NotElf)?;
    let (class, order) = (header.e_ident.class, header.e_ident.data);
    if class != ELFCLASS64 || order != ELFDATA2LSB {
        return Err(ObjectError::Class { class, order });
    }
    Ok(header)
}

/// Checks processor and kind of file; returns `e_type`.
fn check_type(header: &Header) -> Result<u16, ObjectError> {
    let machine = header.e_machine.get(LittleEndian);
    if machine != EM_X86_64 {
        return Err(ObjectError::Machine { machine });
    }
    let kind = header.e_type.get(LittleEndian);
    if kind != ET_EXEC && kind != ET_DYN {
        return Err(ObjectError::Type { kind });
    }
    Ok(kind)
}

/// Reads the program headers, if there are not too many.
fn program_headers<'d, R: ReadRef<'d>>(
    header: &Header,
    data: R,
) -> Result<&'d [ProgramHeader64<LittleEndian>], ObjectError> {
    let malformed = |source| ObjectError::Malformed {
        part: "program headers",
        source,
    };
    let found = header.phnum(LittleEndian, data).map_err(malformed)?;
    check_count("program headers", found, PROGRAM_HEADERS_MAX)?;
    header
        .program_headers(LittleEndian, data)
        .map_err(malformed)
}

/// Reads the section headers, if there are not too many.
fn sections<'d, R: ReadRef<'d>>(
    header: &Header,
    data: R,
) -> Result<SectionTable<'d, Header, R>, ObjectError> {
    let malformed = |source| ObjectError::Malformed {
        part: "section headers",
        source,
    };
    if header.e_shoff.get(LittleEndian) == 0 {
        return Ok(SectionTable::default());
    }
    let found = header.shnum(LittleEndian, data).map_err(malformed)?;
    check_count("section headers", found, SECTIONS_MAX)?;
    header.sections(LittleEndian, data).map_err(malformed)
}

/// Says no to a count above its limit.
fn check_count(part: &'static str, found: usize, max: usize) -> Result<(), ObjectError> {
    if found <= max {
        return Ok(());
    }
    Err(ObjectError::TooMany { part, found, max })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use object::ReadCache;

    use super::{Object, ObjectError};
    use crate::{
        host::object::{Facts, ObjectKind},
        model::FileOffset,
    };

    fn own_image() -> Vec<u8> {
        fs::read("/proc/self/exe").unwrap()
    }

    fn facts_of(path: &str) -> Facts {
        let cache = ReadCache::new(fs::File::open(path).unwrap());
        Object::parse(&cache).unwrap().facts()
    }

    #[test]
    fn knows_its_own_program() {
        let facts = facts_of("/proc/self/exe");
        assert_eq!(ObjectKind::Pie, facts.kind);
        assert!(facts.has_symbol_table && facts.has_debug_info);
        assert!(!facts.is_go);
    }

    #[test]
    fn the_executable_segment_holds_a_known_function() {
        let image = own_image();
        let object = Object::parse(image.as_slice()).unwrap();
        let text = object.segments().executable().next().copied().unwrap();
        let inside = FileOffset(text.file_offset.0 + text.file_size_bytes - 1);
        let address = object.segments().to_svma(inside).unwrap();
        assert_eq!(Some(inside), object.segments().to_file_offset(address));
    }

    #[test]
    fn the_c_library_is_a_library_though_it_can_be_run() {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let path = maps
            .split_whitespace()
            .find(|word| word.ends_with("/libc.so.6"));
        if let Some(path) = path {
            let facts = facts_of(path);
            assert_eq!(ObjectKind::Shared, facts.kind);
            assert!(facts.build_id.is_some());
        }
    }

    #[test]
    fn says_what_it_does_not_read() {
        let mut image = own_image();
        image.truncate(4_096);
        let parse = |image: &[u8]| Object::parse(image).map(|_| ()).unwrap_err();
        assert!(matches!(parse(b"#!/bin/sh\n"), ObjectError::NotElf));
        assert!(matches!(parse(&image), ObjectError::Malformed { .. }));
        image[18] = 183;
        assert!(matches!(
            parse(&image),
            ObjectError::Machine { machine: 183 }
        ));
        image[4] = 1;
        assert!(matches!(parse(&image), ObjectError::Class { class: 1, .. }));
    }

    #[test]
    fn a_file_cut_anywhere_in_its_headers_is_an_error_or_an_object() {
        let image = own_image();
        for size_bytes in 0..2_048 {
            let cut = Object::parse(&image[..size_bytes]);
            assert!(cut.is_err(), "the section headers lie at the end");
        }
    }
}
