//! A section of a file as the DWARF parser reads it: piece by piece, with a deadline.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    rc::Rc,
};

use gimli::{LittleEndian, ReaderOffsetId};

use crate::host::symbolize::{
    bytes::{Chunk, FileBytes},
    error::ReadError,
    limits::MANGLED_SIZE_BYTES_MAX,
};

/// A piece of a file, and where in the file it starts.
type Current = (u64, Chunk);

/// A section, shared by all readers of it.
#[derive(Debug)]
struct Section {
    /// The file.
    bytes: Rc<FileBytes>,
    /// Where the section starts in it.
    start: u64,
    /// The piece that was read last, and where in the file it starts.
    current: RefCell<Current>,
    /// Bytes that may still be read: what the parser makes of some sections takes many times their
    /// size in memory.
    allowance: Cell<u64>,
}

/// A range of a section; reading moves its start.
#[derive(Clone, Debug)]
pub(super) struct SectionReader {
    /// The section.
    section: Rc<Section>,
    /// Next byte, from the start of the section.
    offset: u64,
    /// End of the range, from the start of the section.
    end: u64,
}

impl SectionReader {
    /// Reads `size` bytes of a file from `start`.
    pub(super) fn new(bytes: Rc<FileBytes>, start: u64, size: u64) -> Self {
        let section = Section {
            bytes,
            start,
            current: RefCell::new((0, Rc::from([]))),
            allowance: Cell::new(u64::MAX),
        };
        Self {
            section: Rc::new(section),
            offset: 0,
            end: size,
        }
    }

    /// Allows this many bytes to be read from the section, by any reader of it, until the next
    /// call.
    pub(super) fn allow(&self, size_bytes: u64) {
        self.section.allowance.set(size_bytes);
    }

    /// Counts steps of work that read nothing.
    ///
    /// # Errors
    /// Out of time.
    pub(super) fn spend(&self, steps: usize) -> gimli::Result<()> {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        let budget = self.section.bytes.budget();
        Ok(budget.spend(steps)?)
    }

    /// Bytes left.
    fn left(&self) -> u64 {
        self.end.saturating_sub(self.offset)
    }

    /// Moves the start past `size` bytes, which must be there.
    fn advance(&mut self, size: u64) -> gimli::Result<()> {
        if size > self.left() {
            return Err(gimli::Error::UnexpectedEof(self.id()));
        }
        self.offset = self.offset.saturating_add(size);
        Ok(())
    }

    /// Where this reader is, for error messages.
    fn id(&self) -> ReaderOffsetId {
        ReaderOffsetId(self.offset)
    }

    /// All that is left, as bytes.
    fn all(&self) -> gimli::Result<Vec<u8>> {
        let size = usize::try_from(self.left()).unwrap_or(usize::MAX);
        // Only names and paths are copied out; a longer one is none.
        if size > MANGLED_SIZE_BYTES_MAX {
            return Err(gimli::Error::Io);
        }
        let mut bytes = vec![0; size];
        self.section.read(self.offset, &mut bytes)?;
        Ok(bytes)
    }
}

impl From<ReadError> for gimli::Error {
    /// The parser need not know more: who waits for its answer asks the file.
    fn from(_: ReadError) -> Self {
        Self::Io
    }
}

impl Section {
    /// Fills `buffer`.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> gimli::Result<()> {
        let size = buffer.len() as u64;
        self.use_allowance(size)?;
        let at = self.start.checked_add(offset).ok_or(gimli::Error::Io)?;
        if self.is_copied_from_current(at, buffer) {
            return Ok(());
        }
        if let Ok(current) = self.bytes.chunk_at(at) {
            self.current.replace(current);
        }
        if self.is_copied_from_current(at, buffer) {
            return Ok(());
        }
        Ok(self.bytes.read_at(at, buffer)?)
    }

    /// Copies from the piece that was read last, if all of it is there. The fast path.
    fn is_copied_from_current(&self, at: u64, buffer: &mut [u8]) -> bool {
        let current = self.current.borrow();
        let found = at
            .checked_sub(current.0)
            .and_then(|skip| usize::try_from(skip).ok())
            .and_then(|skip| current.1.get(skip..)?.get(..buffer.len()));
        if let Some(found) = found {
            buffer.copy_from_slice(found);
        }
        found.is_some()
    }

    /// Counts bytes as read.
    fn use_allowance(&self, size: u64) -> gimli::Result<()> {
        let left = self.allowance.get().checked_sub(size);
        self.allowance.set(left.ok_or(gimli::Error::Io)?);
        Ok(self.bytes.budget().spend(1)?)
    }

    /// Finds the first `byte` in a range.
    fn find(&self, offset: u64, end: u64, byte: u8) -> gimli::Result<Option<u64>> {
        let mut at = offset;
        while at < end {
            let place = self.start.checked_add(at).ok_or(gimli::Error::Io)?;
            let (start, chunk) = self.bytes.chunk_at(place)?;
            let skip = usize::try_from(place.saturating_sub(start)).unwrap_or(usize::MAX);
            let part = chunk.get(skip..).unwrap_or_default();
            let found = part.iter().position(|found| *found == byte);
            let size = found.unwrap_or(part.len()) as u64;
            self.use_allowance(size)?;
            at = at.saturating_add(size);
            self.current.replace((start, Rc::clone(&chunk)));
            if found.is_some() {
                return Ok((at < end).then_some(at));
            }
            if part.is_empty() {
                break;
            }
        }
        Ok(None)
    }
}

impl gimli::Reader for SectionReader {
    type Endian = LittleEndian;
    type Offset = usize;

    fn endian(&self) -> LittleEndian {
        LittleEndian
    }

    fn len(&self) -> usize {
        usize::try_from(self.left()).unwrap_or(usize::MAX)
    }

    fn empty(&mut self) {
        self.end = self.offset;
    }

    fn truncate(&mut self, len: usize) -> gimli::Result<()> {
        if len as u64 > self.left() {
            return Err(gimli::Error::UnexpectedEof(self.id()));
        }
        self.end = self.offset.saturating_add(len as u64);
        Ok(())
    }

    fn offset_from(&self, base: &Self) -> usize {
        usize::try_from(self.offset.saturating_sub(base.offset)).unwrap_or(usize::MAX)
    }

    fn offset_id(&self) -> ReaderOffsetId {
        self.id()
    }

    fn lookup_offset_id(&self, id: ReaderOffsetId) -> Option<usize> {
        let offset = id.0.checked_sub(self.offset)?;
        (id.0 <= self.end).then_some(usize::try_from(offset).ok()?)
    }

    fn find(&self, byte: u8) -> gimli::Result<usize> {
        let found = self.section.find(self.offset, self.end, byte)?;
        let place = found.ok_or(gimli::Error::UnexpectedEof(self.id()))?;
        Ok(usize::try_from(place.saturating_sub(self.offset)).unwrap_or(usize::MAX))
    }

    fn skip(&mut self, len: usize) -> gimli::Result<()> {
        self.advance(len as u64)
    }

    fn split(&mut self, len: usize) -> gimli::Result<Self> {
        let mut first = self.clone();
        first.truncate(len)?;
        self.advance(len as u64)?;
        Ok(first)
    }

    fn to_slice(&self) -> gimli::Result<Cow<'_, [u8]>> {
        self.all().map(Cow::Owned)
    }

    fn to_string(&self) -> gimli::Result<Cow<'_, str>> {
        String::from_utf8(self.all()?)
            .map(Cow::Owned)
            .or(Err(gimli::Error::BadUtf8))
    }

    fn to_string_lossy(&self) -> gimli::Result<Cow<'_, str>> {
        let bytes = self.all()?;
        Ok(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn read_slice(&mut self, buffer: &mut [u8]) -> gimli::Result<()> {
        let offset = self.offset;
        self.advance(buffer.len() as u64)?;
        self.section.read(offset, buffer)
    }
}
