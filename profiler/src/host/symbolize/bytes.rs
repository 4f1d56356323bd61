//! Bytes of a file, read in pieces that are kept within a bound.
//!
//! Files are read, not mapped: a mapped file that its owner truncates kills the reader, and every
//! page that was touched counts as memory of the daemon.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
    rc::Rc,
};

use super::{budget::Budget, error::ReadError, limits::CHUNK_SIZE_BYTES};

/// A part of a file in memory.
pub(super) type Chunk = Rc<[u8]>;

/// A file, or an image of one in memory, that can be read at any place.
#[derive(Debug)]
pub(super) struct FileBytes {
    /// Absent for an image, whose one chunk is always kept.
    file: Option<File>,
    /// Bytes in the file.
    size_bytes: u64,
    /// Bytes in a chunk; the whole size for an image.
    chunk_size_bytes: u64,
    /// Chunks kept at most.
    chunks_max: usize,
    /// Chunks kept, by their number.
    chunks: RefCell<HashMap<u64, Chunk>>,
    /// Time that reading may take.
    budget: Rc<Budget>,
}

impl FileBytes {
    /// Opens a regular file.
    ///
    /// At most `kept_size_bytes` of it stay in memory, and at least one chunk.
    ///
    /// # Errors
    /// [`ReadError::Io`], or [`ReadError::NotRegular`] for a pipe, a device or a directory.
    pub(super) fn open(
        path: &Path,
        kept_size_bytes: u64,
        budget: &Rc<Budget>,
    ) -> Result<Rc<Self>, ReadError> {
        // Not blocking: a container may have put a pipe where a debug file is looked for.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(ReadError::NotRegular);
        }
        let chunks_max = (kept_size_bytes / CHUNK_SIZE_BYTES).max(1);
        Ok(Rc::new(Self {
            file: Some(file),
            size_bytes: metadata.len(),
            chunk_size_bytes: CHUNK_SIZE_BYTES,
            chunks_max: usize::try_from(chunks_max).unwrap_or(usize::MAX),
            chunks: RefCell::default(),
            budget: Rc::clone(budget),
        }))
    }

    /// Takes bytes that are in memory already.
    pub(super) fn image(bytes: &[u8], budget: &Rc<Budget>) -> Rc<Self> {
        let size_bytes = bytes.len() as u64;
        Rc::new(Self {
            file: None,
            size_bytes,
            chunk_size_bytes: size_bytes.max(1),
            chunks_max: 1,
            chunks: RefCell::new(HashMap::from([(0, Rc::from(bytes))])),
            budget: Rc::clone(budget),
        })
    }

    /// Bytes in the file when it was opened.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Time that reading may take.
    pub(super) fn budget(&self) -> &Rc<Budget> {
        &self.budget
    }

    /// The chunk that holds `offset`, and where in the file it starts.
    ///
    /// # Errors
    /// Past the end of the file, out of time, or unreadable.
    pub(super) fn chunk_at(&self, offset: u64) -> Result<(u64, Chunk), ReadError> {
        self.budget.spend(1)?;
        let Some(number) = offset.checked_div(self.chunk_size_bytes) else {
            return Err(END);
        };
        let start = number.saturating_mul(self.chunk_size_bytes);
        if let Some(chunk) = self.chunks.borrow().get(&number) {
            return Ok((start, Rc::clone(chunk)));
        }
        let chunk = self.load(start)?;
        let mut chunks = self.chunks.borrow_mut();
        if chunks.len() >= self.chunks_max {
            // All at once: what is read next is seldom what was read long ago.
            chunks.clear();
        }
        chunks.insert(number, Rc::clone(&chunk));
        Ok((start, chunk))
    }

    /// Reads one chunk from the file.
    fn load(&self, start: u64) -> Result<Chunk, ReadError> {
        let Some(left) = self
            .size_bytes
            .checked_sub(start)
            .filter(|_| self.file.is_some())
        else {
            return Err(END);
        };
        let size = left.min(self.chunk_size_bytes);
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        self.read_file(start, &mut bytes)?;
        Ok(bytes.into())
    }

    /// Fills `buffer` from the file itself.
    fn read_file(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let file = self.file.as_ref().ok_or(END)?;
        file.read_exact_at(buffer, offset).map_err(|source| {
            if source.kind() == io::ErrorKind::UnexpectedEof {
                END
            } else {
                source.into()
            }
        })
    }

    /// Fills `buffer` through the chunks: for small reads here and there.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let (start, chunk) = self.chunk_at(at)?;
            let from = tail(&chunk, at.saturating_sub(start));
            let size = from.len().min(rest.len());
            let (Some(from), Some((to, left))) =
                (from.get(..size), rest.split_at_mut_checked(size))
            else {
                return Err(END);
            };
            if from.is_empty() {
                return Err(END);
            }
            to.copy_from_slice(from);
            rest = left;
            at = at.saturating_add(size as u64);
        }
        Ok(())
    }

    /// Fills `buffer` past the chunks: for long reads from front to back.
    pub(super) fn stream_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        // A long read takes as long as many steps: look at the clock each time.
        self.budget.spend(u32::MAX)?;
        if self.file.is_none() {
            return self.read_at(offset, buffer);
        }
        self.read_file(offset, buffer)
    }

    /// The text from `offset` to the next zero byte before `end`.
    ///
    /// # Errors
    /// No zero byte within `size_max` bytes, or unreadable.
    pub(super) fn text_at(
        &self,
        offset: u64,
        end: u64,
        size_max: usize,
    ) -> Result<Vec<u8>, ReadError> {
        let mut text = Vec::new();
        let mut at = offset;
        while at < end {
            let (start, chunk) = self.chunk_at(at)?;
            let part = tail(&chunk, at.saturating_sub(start));
            let in_bounds = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
            let part = part.get(..in_bounds.min(part.len())).unwrap_or_default();
            let zero = part.iter().position(|byte| *byte == 0);
            let part_text = zero.and_then(|size| part.get(..size)).unwrap_or(part);
            text.extend_from_slice(part_text);
            if text.len() > size_max || part.is_empty() {
                break;
            }
            if zero.is_some() {
                return Ok(text);
            }
            at = at.saturating_add(part.len() as u64);
        }
        Err(ReadError::Malformed {
            what: "text without an end",
        })
    }

    /// Copies `size` bytes out.
    ///
    /// # Errors
    /// [`ReadError::Bounded`] above `size_max`; past the end, or unreadable.
    pub(super) fn copy_of(
        &self,
        offset: u64,
        size: u64,
        size_max: u64,
    ) -> Result<Vec<u8>, ReadError> {
        if size > size_max {
            return Err(ReadError::Bounded { what: "memory" });
        }
        // Checked before the memory is taken.
        if offset
            .checked_add(size)
            .is_none_or(|end| end > self.size_bytes)
        {
            return Err(END);
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        self.stream_at(offset, &mut bytes)?;
        Ok(bytes)
    }
}

/// A read past the end of the file, or of one that was cut while it was read.
const END: ReadError = ReadError::Malformed {
    what: "the file ends too early",
};

/// What follows `skip` bytes.
fn tail(bytes: &[u8], skip: u64) -> &[u8] {
    usize::try_from(skip)
        .ok()
        .and_then(|skip| bytes.get(skip..))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, rc::Rc, time::Duration};

    use super::{Budget, FileBytes, ReadError};

    fn budget() -> Rc<Budget> {
        Rc::new(Budget::new(Duration::from_secs(3600)))
    }

    /// Reads the same from a file with room for one chunk as from an image.
    #[test]
    fn reads_across_chunks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let content: Vec<u8> = (0..100_000_u32)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        fs::write(&path, &content).unwrap();
        let file = FileBytes::open(&path, 0, &budget()).unwrap();
        let image = FileBytes::image(&content, &budget());
        for bytes in [&file, &image] {
            for offset in [0, 16_383, 16_384, 50_000, 69_999] {
                let mut read = vec![0; 30_001];
                bytes.read_at(offset as u64, &mut read).unwrap();
                assert_eq!(content[offset..offset + 30_001], read);
                bytes.stream_at(offset as u64, &mut read).unwrap();
                assert_eq!(content[offset..offset + 30_001], read);
            }
            let mut read = [0; 2];
            assert!(bytes.read_at(99_999, &mut read).is_err());
            assert!(bytes.stream_at(99_999, &mut read).is_err());
            assert!(bytes.read_at(u64::MAX, &mut read).is_err());
            bytes.copy_of(99_999, 2, 10).unwrap_err();
            assert!(matches!(
                bytes.copy_of(0, 11, 10),
                Err(ReadError::Bounded { .. })
            ));
            let text = bytes.text_at(1, 100_000, 300).unwrap();
            assert_eq!(content[1..251], text);
            bytes.text_at(1, 100_000, 200).unwrap_err();
            bytes.text_at(1, 200, 300).unwrap_err();
        }
    }

    #[test]
    fn a_pipe_is_refused_and_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        for path in [&path, Path::new("/dev/zero"), Path::new("/proc")] {
            let opened = FileBytes::open(path, 0, &budget());
            assert!(matches!(opened, Err(ReadError::NotRegular)));
        }
    }
}
