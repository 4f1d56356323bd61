//! The write-ahead log: segments of checked records.
//!
//! Record: magic, body length, CRC-32C of the body; body: kind, sender, sequence, LZ4 of the batch.
//! All little-endian. A record that does not check out is looked past: the next magic whose record
//! checks out goes on. What follows the last good record of the last segment is a torn write.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{
    codec::{decode_batch, encode_batch},
    files::{file_error, sync_dir, write_error},
};
use crate::{
    model::{Batch, SenderId},
    service::store::{StoreError, limits},
};

/// Start of each record.
const MAGIC: [u8; 4] = *b"PrW1";

/// Magic, length and checksum.
const HEAD_BYTES: usize = 12;

/// Kind, sender and sequence.
const BODY_HEAD_BYTES: usize = 1 + 16 + 8;

/// Kind of a record that holds a batch.
const KIND_BATCH: u8 = 1;

/// One batch with its number.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    /// Who sent it.
    pub(super) sender: SenderId,
    /// Its number.
    pub(super) sequence: u64,
    /// The data.
    pub(super) batch: Batch,
}

/// A batch as a record's bytes.
///
/// # Errors
/// It is so large that reading it again would be refused; far above what ingest lets through.
pub(super) fn encode_record(
    sender: SenderId,
    sequence: u64,
    batch: &Batch,
) -> Result<Vec<u8>, StoreError> {
    let bytes = encode_batch(batch);
    if limits::RECORD_SIZE_BYTES_MAX < bytes.len() {
        return Err(StoreError::File {
            path: "a batch".to_owned(),
            reason: format!("{} bytes are too many for one record", bytes.len()),
        });
    }
    let mut body = Vec::with_capacity(BODY_HEAD_BYTES);
    body.push(KIND_BATCH);
    body.extend(sender.0.to_le_bytes());
    body.extend(sequence.to_le_bytes());
    body.extend(lz4_flex::compress_prepend_size(&bytes));
    let size = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut record = Vec::with_capacity(HEAD_BYTES + body.len());
    record.extend(MAGIC);
    record.extend(size.to_le_bytes());
    record.extend(crc32c::crc32c(&body).to_le_bytes());
    record.extend(body);
    Ok(record)
}

/// The log, open for more.
#[derive(Debug)]
pub(super) struct Wal {
    /// Where the segments lie.
    dir: PathBuf,
    /// The last segment.
    file: File,
    /// Its number.
    segment: u64,
    /// Its bytes that are durable.
    size_bytes: u64,
    /// Bytes of all earlier segments.
    earlier_bytes: u64,
}

/// Segments, with the bytes of each that are durable.
pub(super) type Durable = Vec<(PathBuf, u64)>;

/// What was found in a log.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// Good records, in order.
    pub(super) records: Vec<Record>,
    /// Places in the middle that hold no good record.
    pub(super) corrupt: u64,
    /// Bytes of a torn write that were cut off the end.
    pub(super) torn_bytes: u64,
}

impl Wal {
    /// Reads segments from `first` on, removes earlier ones, cuts off a torn end, and starts a new
    /// segment behind the last.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub(super) fn open(dir: &Path, first: u64) -> Result<(Self, Replay), StoreError> {
        fs::create_dir_all(dir).map_err(|error| write_error(dir, &error))?;
        let mut replay = Replay::default();
        let mut earlier_bytes = 0;
        let mut last = first;
        let segments = segments(dir)?;
        for (place, segment) in segments.iter().enumerate() {
            let path = segment_path(dir, *segment);
            if *segment < first {
                fs::remove_file(&path).map_err(|error| file_error(&path, &error))?;
                continue;
            }
            let is_last = place + 1 == segments.len();
            earlier_bytes += replay.read(&path, is_last)?;
            last = segment + 1;
        }
        let file = create(dir, last)?;
        let wal = Self {
            dir: dir.to_owned(),
            file,
            segment: last,
            size_bytes: 0,
            earlier_bytes,
        };
        Ok((wal, replay))
    }

    /// Makes records durable, all or none of them.
    ///
    /// # Errors
    /// [`StoreError::Full`] without room, another error of the disk otherwise; the log is as before.
    pub(super) fn append(&mut self, records: &[&[u8]]) -> Result<(), StoreError> {
        let bytes = records.concat();
        let path = segment_path(&self.dir, self.segment);
        let written = (self.file.write_all(&bytes)).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.size_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                Ok(())
            }
            Err(error) => {
                self.forget_tail()?;
                Err(write_error(&path, &error))
            }
        }
    }

    /// Takes back what was written but is not durable. A new segment follows, because what the
    /// kernel holds of a file after a failed sync is unknown.
    fn forget_tail(&mut self) -> Result<(), StoreError> {
        let path = segment_path(&self.dir, self.segment);
        (self.file.set_len(self.size_bytes)).map_err(|error| file_error(&path, &error))?;
        self.rotate()
    }

    /// Starts a new segment. Returns its number: all records so far are in segments before it.
    ///
    /// # Errors
    /// The file cannot be made; the old segment goes on.
    pub(super) fn rotate(&mut self) -> Result<(), StoreError> {
        self.file = create(&self.dir, self.segment + 1)?;
        self.segment += 1;
        self.earlier_bytes += self.size_bytes;
        self.size_bytes = 0;
        Ok(())
    }

    /// Number of the last segment.
    pub(super) fn segment(&self) -> u64 {
        self.segment
    }

    /// Durable bytes of the last segment.
    pub(super) fn segment_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Bytes of all segments.
    pub(super) fn total_bytes(&self) -> u64 {
        self.earlier_bytes + self.size_bytes
    }

    /// Removes segments before `first`, whose records are in parts.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub(super) fn remove_before(&mut self, first: u64) -> Result<(), StoreError> {
        self.earlier_bytes = 0;
        for segment in segments(&self.dir)? {
            let path = segment_path(&self.dir, segment);
            if segment < first {
                fs::remove_file(&path).map_err(|error| file_error(&path, &error))?;
            } else if segment < self.segment {
                let size = fs::metadata(&path).map_err(|error| file_error(&path, &error))?;
                self.earlier_bytes += size.len();
            }
        }
        Ok(())
    }

    /// Segments with the bytes of each that are durable.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(super) fn durable(&self) -> Result<Durable, StoreError> {
        let mut durable = Vec::new();
        for segment in segments(&self.dir)? {
            let path = segment_path(&self.dir, segment);
            let size = if segment == self.segment {
                self.size_bytes
            } else {
                (fs::metadata(&path).map_err(|error| file_error(&path, &error))?).len()
            };
            durable.push((path, size));
        }
        Ok(durable)
    }
}

impl Replay {
    /// Reads one segment. Returns its size after a torn end was cut off.
    fn read(&mut self, path: &Path, is_last: bool) -> Result<u64, StoreError> {
        let bytes = fs::read(path).map_err(|error| file_error(path, &error))?;
        let good = self.scan(&bytes);
        let torn = bytes.len() - good;
        if 0 < torn {
            if is_last {
                self.torn_bytes += u64::try_from(torn).unwrap_or(u64::MAX);
                truncate(path, good).map_err(|error| write_error(path, &error))?;
            } else {
                self.corrupt += 1;
            }
        }
        Ok(u64::try_from(bytes.len() - torn).unwrap_or(u64::MAX))
    }

    /// Takes the good records of a segment. Returns where the last one ends.
    fn scan(&mut self, bytes: &[u8]) -> usize {
        let mut good = 0;
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Some((record, size)) = parse(rest) else {
                at += next_magic(rest);
                continue;
            };
            if good < at {
                self.corrupt += 1;
            }
            match record {
                Some(record) => self.records.push(record),
                // Its checksum holds but not its contents: refused like a damaged one.
                None => self.corrupt += 1,
            }
            at += size;
            good = at;
        }
        good
    }
}

/// The record at the start of some bytes and its size; no record when it is whole but means nothing;
/// nothing at all when it is damaged.
fn parse(bytes: &[u8]) -> Option<(Option<Record>, usize)> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (size, rest) = rest.split_first_chunk()?;
    let (checksum, rest) = rest.split_first_chunk()?;
    let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
    let body = rest.get(..size)?;
    let is_whole = crc32c::crc32c(body) == u32::from_le_bytes(*checksum);
    is_whole.then(|| (parse_body(body), HEAD_BYTES + size))
}

/// The record in a body whose checksum holds.
fn parse_body(body: &[u8]) -> Option<Record> {
    let (kind, rest) = body.split_first()?;
    let (sender, rest) = rest.split_first_chunk()?;
    let (sequence, packed) = rest.split_first_chunk()?;
    let (size, _packed) = lz4_flex::block::uncompressed_size(packed).ok()?;
    if *kind != KIND_BATCH || limits::RECORD_SIZE_BYTES_MAX < size {
        return None;
    }
    let bytes = lz4_flex::decompress_size_prepended(packed).ok()?;
    Some(Record {
        sender: SenderId(u128::from_le_bytes(*sender)),
        sequence: u64::from_le_bytes(*sequence),
        batch: decode_batch(&bytes).ok()?,
    })
}

/// Bytes until the next magic that is not at the start; the length when there is none.
fn next_magic(bytes: &[u8]) -> usize {
    let found = (bytes.windows(MAGIC.len()).skip(1)).position(|window| window == MAGIC);
    found.map_or(bytes.len(), |place| place + 1)
}

/// Cuts a file and makes that durable.
fn truncate(path: &Path, size: usize) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(u64::try_from(size).unwrap_or(u64::MAX))?;
    file.sync_all()
}

/// A new segment. One of that number is from a failed attempt and empty.
fn create(dir: &Path, segment: u64) -> Result<File, StoreError> {
    let path = segment_path(dir, segment);
    // Appending: what is taken back after a failure must not leave a hole before what follows.
    let opened = OpenOptions::new().append(true).create(true).open(&path);
    let emptied = opened.and_then(|file| file.set_len(0).map(|()| file));
    let file = emptied.map_err(|error| write_error(&path, &error))?;
    sync_dir(dir)?;
    Ok(file)
}

/// Path of a segment.
fn segment_path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:012}.wal"))
}

/// Numbers of the segments that are there, ascending.
fn segments(dir: &Path) -> Result<Vec<u64>, StoreError> {
    let entries = fs::read_dir(dir).map_err(|error| file_error(dir, &error))?;
    let mut segments = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| file_error(dir, &error))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".wal"));
        segments.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    segments.sort_unstable();
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Wal, encode_record};
    use crate::{model::SenderId, service::store::fixture};

    /// Three records and the places where they end.
    fn log() -> (Vec<u8>, [usize; 3]) {
        let mut bytes = Vec::new();
        let ends = [1, 2, 3].map(|sequence| {
            let batch = fixture::small_batch(sequence);
            bytes.extend(encode_record(SenderId(7), sequence, &batch).unwrap());
            bytes.len()
        });
        (bytes, ends)
    }

    /// Sequences found in a log of these bytes, damaged places, and torn bytes.
    fn replay(bytes: &[u8]) -> (Vec<u64>, u64, u64) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("000000000001.wal"), bytes).unwrap();
        let (_wal, replay) = Wal::open(dir.path(), 1).unwrap();
        let sequences = replay.records.iter().map(|record| record.sequence);
        (sequences.collect(), replay.corrupt, replay.torn_bytes)
    }

    #[test]
    fn a_write_torn_at_any_byte_keeps_the_records_before_it() {
        let (bytes, ends) = log();
        for cut in 0..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let expected: Vec<u64> = (1..=3).take(whole).collect();
            let torn = cut - ends[..whole].last().copied().unwrap_or_default();
            let torn = u64::try_from(torn).unwrap();
            assert_eq!((expected, 0, torn), replay(&bytes[..cut]), "cut at {cut}");
        }
    }

    #[test]
    fn a_byte_changed_anywhere_in_the_middle_costs_one_record() {
        let (bytes, ends) = log();
        for place in ends[0]..ends[1] {
            let mut changed = bytes.clone();
            changed[place] ^= 0x55;
            assert_eq!((vec![1, 3], 1, 0), replay(&changed), "byte {place}");
        }
    }

    #[test]
    fn a_torn_end_stays_cut_and_the_log_goes_on() {
        let (bytes, ends) = log();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("000000000001.wal");
        fs::write(&path, &bytes[..ends[2] - 1]).unwrap();
        let (mut wal, _replay) = Wal::open(dir.path(), 1).unwrap();
        let record = encode_record(SenderId(7), 9, &fixture::small_batch(9)).unwrap();
        wal.append(&[&record]).unwrap();
        drop(wal);
        let (_wal, replay) = Wal::open(dir.path(), 1).unwrap();
        let sequences: Vec<u64> = replay.records.iter().map(|r| r.sequence).collect();
        assert_eq!(
            (vec![1, 2, 9], 0, 0),
            (sequences, replay.corrupt, replay.torn_bytes)
        );
    }
}
