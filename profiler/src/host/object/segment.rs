//! Load segments, and the way between file offsets and link-time addresses.

use object::{
    LittleEndian,
    elf::{PF_X, PT_LOAD, ProgramHeader64},
};

use crate::model::{FileOffset, Svma};

/// A range of the file that the loader maps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LoadSegment {
    /// Where the segment begins in the file.
    pub file_offset: FileOffset,
    /// Address that the first byte was linked for.
    pub svma: Svma,
    /// Bytes that come from the file; cut where the file ends.
    pub file_size_bytes: u64,
    /// Bytes in memory; what exceeds the file is zero.
    pub memory_size_bytes: u64,
    /// Whether code may run here.
    pub is_executable: bool,
}

impl LoadSegment {
    /// The link-time address of a byte of the file, if the segment holds it.
    pub fn to_svma(&self, offset: FileOffset) -> Option<Svma> {
        let distance = offset.0.checked_sub(self.file_offset.0)?;
        let is_inside = distance < self.file_size_bytes;
        is_inside.then(|| Svma(self.svma.0.wrapping_add(distance)))
    }

    /// The place in the file of a link-time address, if the segment holds it.
    pub fn to_file_offset(&self, address: Svma) -> Option<FileOffset> {
        let distance = address.0.checked_sub(self.svma.0)?;
        let is_inside = distance < self.file_size_bytes;
        is_inside.then(|| FileOffset(self.file_offset.0.wrapping_add(distance)))
    }

    /// One past the last byte in the file.
    pub fn file_end(&self) -> FileOffset {
        FileOffset(self.file_offset.0.saturating_add(self.file_size_bytes))
    }
}

/// The load segments of an object, in the order of the program headers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Segments(Vec<LoadSegment>);

impl Segments {
    /// Takes the load segments among `headers`; `file_size_bytes` bounds what they claim.
    pub(super) fn new(headers: &[ProgramHeader64<LittleEndian>], file_size_bytes: u64) -> Self {
        let loads = headers
            .iter()
            .filter(|header| header.p_type.get(LittleEndian) == PT_LOAD);
        Self(
            loads
                .map(|header| segment(header, file_size_bytes))
                .collect(),
        )
    }

    /// Every load segment.
    pub fn all(&self) -> &[LoadSegment] {
        &self.0
    }

    /// The segments that code may run in.
    pub fn executable(&self) -> impl Iterator<Item = &LoadSegment> {
        self.0.iter().filter(|segment| segment.is_executable)
    }

    /// The link-time address of a byte of the file; an executable segment wins.
    pub fn to_svma(&self, offset: FileOffset) -> Option<Svma> {
        let code = self
            .executable()
            .find_map(|segment| segment.to_svma(offset));
        code.or_else(|| self.0.iter().find_map(|segment| segment.to_svma(offset)))
    }

    /// The place in the file of a link-time address; an executable segment wins.
    pub fn to_file_offset(&self, address: Svma) -> Option<FileOffset> {
        let code = self
            .executable()
            .find_map(|segment| segment.to_file_offset(address));
        code.or_else(|| {
            self.0
                .iter()
                .find_map(|segment| segment.to_file_offset(address))
        })
    }
}

impl From<Vec<LoadSegment>> for Segments {
    /// Takes segments that do not come from a file's headers.
    fn from(segments: Vec<LoadSegment>) -> Self {
        Self(segments)
    }
}

/// Reads one program header.
fn segment(header: &ProgramHeader64<LittleEndian>, file_size_bytes: u64) -> LoadSegment {
    let file_offset = header.p_offset.get(LittleEndian);
    let room = file_size_bytes.saturating_sub(file_offset);
    LoadSegment {
        file_offset: FileOffset(file_offset),
        svma: Svma(header.p_vaddr.get(LittleEndian)),
        file_size_bytes: header.p_filesz.get(LittleEndian).min(room),
        memory_size_bytes: header.p_memsz.get(LittleEndian),
        is_executable: header.p_flags.get(LittleEndian) & PF_X != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{LoadSegment, Segments};
    use crate::model::{FileOffset, Svma};

    /// Text at file offset 0x1000, linked for `0x40_2000`.
    fn segments() -> Segments {
        let text = LoadSegment {
            file_offset: FileOffset(0x1000),
            svma: Svma(0x40_2000),
            file_size_bytes: 0x800,
            memory_size_bytes: 0x900,
            is_executable: true,
        };
        let header = LoadSegment {
            file_offset: FileOffset(0),
            svma: Svma(0x40_0000),
            file_size_bytes: 0x2000,
            memory_size_bytes: 0x2000,
            is_executable: false,
        };
        Segments::from(vec![header, text])
    }

    #[test]
    fn an_address_and_its_offset_name_the_same_byte() {
        let segments = segments();
        assert_eq!(Some(Svma(0x40_2010)), segments.to_svma(FileOffset(0x1010)));
        assert_eq!(
            Some(FileOffset(0x1010)),
            segments.to_file_offset(Svma(0x40_2010))
        );
    }

    #[test]
    fn memory_past_the_file_has_no_offset() {
        assert_eq!(None, segments().to_file_offset(Svma(0x40_2800)));
        assert_eq!(
            Some(FileOffset(0x17ff)),
            segments().to_file_offset(Svma(0x40_27ff))
        );
    }

    #[test]
    fn a_byte_in_no_executable_segment_still_has_an_address() {
        assert_eq!(
            Some(Svma(0x40_1900)),
            segments().to_svma(FileOffset(0x1900))
        );
        assert_eq!(None, segments().to_svma(FileOffset(0x2000)));
    }
}
