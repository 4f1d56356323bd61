//! One file of the spool: a header, then records, each with its length and checksum.
//!
//! ```text
//! header   magic "PSPL" · version u32
//! record   length u32 · crc32c u32 of what follows · sequence u64 · windows u64 · payload
//! ```
//! Numbers are little-endian; the length is that of the payload. `windows` is how many windows are
//! lost with the record: its own, and those that its quality says were lost before. A torn record at the end is cut off when the file is opened again.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{error::ShipError, limits::RECORD_SIZE_BYTES_MAX};

/// First bytes of every file.
const HEADER: [u8; 8] = *b"PSPL\x01\0\0\0";
/// Bytes of a record before its payload.
const RECORD_HEAD_SIZE_BYTES: u64 = 24;
/// Bytes of a record between its checksum and its payload.
const BODY_HEAD_SIZE_BYTES: usize = 16;
/// Extension of the files.
const EXTENSION: &str = "spool";

/// A record in a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Record {
    /// Number of the batch.
    pub(super) sequence: u64,
    /// Windows that are lost with it.
    pub(super) windows: u64,
    /// Where it begins in the file.
    offset: u64,
    /// Bytes of the payload.
    payload_size_bytes: u64,
}

/// One file.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    file: File,
    /// No record has a smaller number.
    pub(super) first_sequence: u64,
    /// Bytes up to the end of the last whole record.
    pub(super) size_bytes: u64,
    /// In order of their numbers.
    pub(super) records: Vec<Record>,
}

impl Segment {
    /// Makes an empty file for batches from a number on.
    ///
    /// # Errors
    /// What the system said, in full.
    pub(super) fn create(dir: &Path, first_sequence: u64) -> io::Result<Self> {
        let path = dir.join(format!("{first_sequence:020}.{EXTENSION}"));
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)?;
        // The name must outlive the end of the power: it says which number comes next.
        let written = (file.write_all(&HEADER))
            .and_then(|()| file.sync_all())
            .and_then(|()| File::open(dir)?.sync_all());
        if let Err(error) = written {
            drop(std::fs::remove_file(&path));
            return Err(error);
        }
        Ok(Self {
            path,
            file,
            first_sequence,
            size_bytes: HEADER.len() as u64,
            records: Vec::new(),
        })
    }

    /// Opens a file that an earlier run wrote, and cuts off what is torn.
    ///
    /// # Errors
    /// What the system said.
    pub(super) fn open(path: &Path) -> Result<Self, ShipError> {
        Self::try_open(path).map_err(|source| ShipError::File {
            path: path.to_owned(),
            source,
        })
    }

    /// Opens it.
    fn try_open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let first_sequence = number_of(path).ok_or(ErrorKind::InvalidData)?;
        let mut segment = Self {
            path: path.to_owned(),
            size_bytes: HEADER.len() as u64,
            first_sequence,
            records: Vec::new(),
            file: file.try_clone()?,
        };
        let mut header = [0; HEADER.len()];
        let has_header = file.read_exact_at(&mut header, 0).is_ok() && header == HEADER;
        if has_header {
            while let Some(record) = segment.scan(segment.size_bytes)? {
                segment.push(record);
            }
            file.set_len(segment.size_bytes)?;
        } else {
            file.set_len(0)?;
            file.write_all(&HEADER)?;
        }
        Ok(segment)
    }

    /// The whole record at an offset; `None` when there is none, or a torn one.
    fn scan(&self, offset: u64) -> io::Result<Option<Record>> {
        let Some((length, crc)) = self.head(offset)? else {
            return Ok(None);
        };
        let mut record = Record {
            sequence: 0,
            windows: 0,
            offset,
            payload_size_bytes: length,
        };
        let Some(bytes) = self.body(record)? else {
            return Ok(None);
        };
        if let ([sequence, windows, ..], _) = bytes.as_chunks::<8>() {
            record.sequence = u64::from_le_bytes(*sequence);
            record.windows = u64::from_le_bytes(*windows);
        }
        let last = self.records.last().map_or(0, |record| record.sequence);
        let is_whole = crc32c::crc32c(&bytes) == crc && last < record.sequence;
        Ok(is_whole.then_some(record))
    }

    /// Length of the payload and checksum; `None` at the end.
    fn head(&self, offset: u64) -> io::Result<Option<(u64, u32)>> {
        let mut head = [0; 8];
        match self.file.read_exact_at(&mut head, offset) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let ([length, crc], _) = head.as_chunks::<4>() else {
            return Ok(None);
        };
        let length = u64::from(u32::from_le_bytes(*length));
        let is_possible = length <= RECORD_SIZE_BYTES_MAX;
        Ok(is_possible.then(|| (length, u32::from_le_bytes(*crc))))
    }

    /// What follows the checksum of a record; `None` when the file ends before.
    fn body(&self, record: Record) -> io::Result<Option<Vec<u8>>> {
        let size_bytes = usize::try_from(record.payload_size_bytes);
        let size_bytes = size_bytes.map_err(|_wide| ErrorKind::InvalidData)?;
        let mut bytes = vec![0; size_bytes + BODY_HEAD_SIZE_BYTES];
        match self.file.read_exact_at(&mut bytes, record.offset + 8) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds a record to what is known of the file.
    fn push(&mut self, record: Record) {
        self.size_bytes = record.offset + record_size_bytes(record.payload_size_bytes);
        self.records.push(record);
    }

    /// Appends a batch, durably. When that fails the file is as it was before.
    ///
    /// # Errors
    /// What the system said.
    pub(super) fn append(&mut self, sequence: u64, windows: u64, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(|_wide| ErrorKind::InvalidInput)?;
        let mut body = sequence.to_le_bytes().to_vec();
        body.extend_from_slice(&windows.to_le_bytes());
        body.extend_from_slice(payload);
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
        bytes.append(&mut body);
        let written = self
            .file
            .write_all_at(&bytes, self.size_bytes)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // If this fails too, the torn record is cut off when the file is opened again.
            drop(self.file.set_len(self.size_bytes));
            return Err(error);
        }
        self.push(Record {
            sequence,
            windows,
            offset: self.size_bytes,
            payload_size_bytes: u64::from(length),
        });
        Ok(())
    }

    /// The payload of a record.
    ///
    /// # Errors
    /// What the system said, or that it is not what was written.
    pub(super) fn read(&self, record: Record) -> Result<Vec<u8>, ShipError> {
        let sequence = record.sequence;
        let damaged = || ShipError::Damaged { sequence };
        let read = |record: Record| -> io::Result<_> {
            Ok(self.head(record.offset)?.zip(self.body(record)?))
        };
        let found = read(record).map_err(|source| ShipError::File {
            path: self.path.clone(),
            source,
        })?;
        let ((_length, crc), mut bytes) = found.ok_or_else(damaged)?;
        if crc32c::crc32c(&bytes) != crc {
            return Err(damaged());
        }
        Ok(bytes.split_off(BODY_HEAD_SIZE_BYTES))
    }

    /// Removes the file.
    pub(super) fn remove(self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a spool file stays");
        }
    }
}

/// Bytes of a record with a payload of so many.
pub(super) const fn record_size_bytes(payload_size_bytes: u64) -> u64 {
    RECORD_HEAD_SIZE_BYTES + payload_size_bytes
}

/// The number in the name of a segment; `None` for other files.
pub(super) fn number_of(path: &Path) -> Option<u64> {
    let is_segment = path
        .extension()
        .is_some_and(|extension| extension == EXTENSION);
    let stem = path.file_stem().filter(|_stem| is_segment)?;
    stem.to_str()?.parse().ok()
}
