//! Finds the entries of a call frame section.
//!
//! The entries are walked by their lengths alone, so that one that does not parse costs no other.

use gimli::{DebugFrame, EhFrame, UnwindSection};

use super::expression::Slice;

/// A kind of call frame section.
pub(super) trait FrameSection<'d>: UnwindSection<Slice<'d>> {
    /// Whether the word after an entry's length marks a common entry.
    fn is_common(id: u64, is_64_bit: bool) -> bool;
    /// Bytes of that word.
    fn id_size_bytes(is_64_bit: bool) -> usize;
}

impl<'d> FrameSection<'d> for EhFrame<Slice<'d>> {
    fn is_common(id: u64, _is_64_bit: bool) -> bool {
        id == 0
    }

    fn id_size_bytes(_is_64_bit: bool) -> usize {
        4
    }
}

impl<'d> FrameSection<'d> for DebugFrame<Slice<'d>> {
    fn is_common(id: u64, is_64_bit: bool) -> bool {
        id == if is_64_bit {
            u64::MAX
        } else {
            u64::from(u32::MAX)
        }
    }

    fn id_size_bytes(is_64_bit: bool) -> usize {
        if is_64_bit { 8 } else { 4 }
    }
}

/// Walks the entries of a section that describe functions.
#[derive(Debug)]
pub(super) struct FunctionOffsets<'d> {
    section: &'d [u8],
    position: usize,
    is_common: fn(u64, bool) -> bool,
    id_size_bytes: fn(bool) -> usize,
}

impl<'d> FunctionOffsets<'d> {
    /// Begins at the front of a section of kind `S`.
    pub(super) fn new<S: FrameSection<'d>>(section: &'d [u8]) -> Self {
        Self {
            section,
            position: 0,
            is_common: S::is_common,
            id_size_bytes: S::id_size_bytes,
        }
    }

    /// Reads a little-endian number of 4 or 8 bytes.
    fn number(&self, at: usize, size_bytes: usize) -> Option<u64> {
        let bytes = self.section.get(at..)?;
        if size_bytes == 8 {
            bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
        } else {
            let bytes = bytes.first_chunk()?;
            Some(u64::from(u32::from_le_bytes(*bytes)))
        }
    }

    /// Steps over one entry. `None` at the end, or where a length leads out of the section.
    /// A length of zero is an end mark to some linkers and padding to others: it is stepped over.
    fn step(&mut self) -> Option<Entry> {
        const LONG: u64 = u32::MAX as u64;
        let start = self.position;
        let short = self.number(start, 4)?;
        let is_64_bit = short == LONG;
        let (length, body) = if is_64_bit {
            (
                self.number(start.checked_add(4)?, 8)?,
                start.checked_add(12)?,
            )
        } else {
            (short, start.checked_add(4)?)
        };
        let end = body.checked_add(usize::try_from(length).ok()?)?;
        if end > self.section.len() {
            return None;
        }
        self.position = end;
        let id_size_bytes = (self.id_size_bytes)(is_64_bit);
        if body.checked_add(id_size_bytes)? > end {
            return Some(Entry::Other);
        }
        if (self.is_common)(self.number(body, id_size_bytes)?, is_64_bit) {
            return Some(Entry::Other);
        }
        Some(Entry::Function(start))
    }
}

/// What an entry is.
enum Entry {
    /// Describes a function; its offset in the section.
    Function(usize),
    /// A common entry, an end mark, or too short for either.
    Other,
}

impl Iterator for FunctionOffsets<'_> {
    /// Offset of the entry in the section.
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            if let Entry::Function(start) = self.step()? {
                return Some(start);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gimli::{DebugFrame, EhFrame};

    use super::FunctionOffsets;
    use crate::host::unwind::expression::Slice;

    /// An entry of 8 bytes of body: its id and a filler.
    fn entry(id: u32) -> Vec<u8> {
        [8u32, id, 0]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect()
    }

    fn in_eh_frame(section: &[u8]) -> Vec<usize> {
        FunctionOffsets::new::<EhFrame<Slice<'_>>>(section).collect()
    }

    #[test]
    fn common_entries_and_end_marks_are_stepped_over() {
        let section = [entry(0), entry(4), vec![0; 4], entry(20)].concat();
        assert_eq!(vec![12, 28], in_eh_frame(&section));
        let mut long = 0xffff_ffff_u32.to_le_bytes().to_vec();
        long.extend(8u64.to_le_bytes());
        long.extend(u64::MAX.to_le_bytes());
        let section = [entry(u32::MAX), long, entry(0)].concat();
        let offsets = FunctionOffsets::new::<DebugFrame<Slice<'_>>>(&section);
        assert_eq!(vec![32], offsets.collect::<Vec<_>>());
    }

    #[test]
    fn a_length_that_leaves_the_section_ends_the_walk() {
        let section = [entry(4), entry(16)].concat();
        assert_eq!(vec![0, 12], in_eh_frame(&section));
        for cut in 12..section.len() {
            assert_eq!(vec![0], in_eh_frame(&section[..cut]));
        }
        assert_eq!(Vec::<usize>::new(), in_eh_frame(&[0xff; 64]));
    }
}
