//! Batches that wait on disk until the service has them.

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    error::ShipError,
    limits::{SEGMENT_SIZE_BYTES_MAX, SEGMENT_SIZE_BYTES_MIN, SEGMENTS_WANTED},
    segment::{Record, Segment, number_of, record_size_bytes},
};
use crate::model::SenderId;

/// A batch with its number.
type Waiting = (u64, Vec<u8>);

/// Name of the file that holds the sender's id.
const SENDER_FILE: &str = "sender";
/// Name of the file that is there while a daemon runs.
const RUNNING_FILE: &str = "running";

/// Numbered batches in files, oldest first, at most so many bytes.
///
/// Every batch can be understood by itself. Survives the end of the program at any moment; what
/// [`Spool::append`] has taken survives the end of the power, too.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    size_bytes_max: u64,
    sender: SenderId,
    /// Never empty; the last one is written to.
    segments: VecDeque<Segment>,
    next_sequence: u64,
    /// Batches up to this number are durable at the service.
    acknowledged: u64,
    /// Windows dropped unsent that no later window has told of yet.
    dropped: u64,
    /// Windows dropped unsent since the spool was opened.
    lost: u64,
}

impl Spool {
    /// Opens the spool in a folder, or makes one. A run before this one that did not end by itself
    /// had a window in memory: that counts as dropped.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn open(dir: &Path, size_bytes_max: u64) -> Result<Self, ShipError> {
        fs::create_dir_all(dir).map_err(|source| file_error(dir, source))?;
        let sender = read_or_make_sender(&dir.join(SENDER_FILE))?;
        let mut numbers: Vec<(u64, PathBuf)> = fs::read_dir(dir)
            .map_err(|source| file_error(dir, source))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter_map(|path| Some((number_of(&path)?, path)))
            .collect();
        numbers.sort_unstable();
        let segments: Result<VecDeque<Segment>, ShipError> = numbers
            .iter()
            .map(|(_number, path)| Segment::open(path))
            .collect();
        let mut segments = segments?;
        if segments.is_empty() {
            segments.push_back(Segment::create(dir, 1).map_err(|source| file_error(dir, source))?);
        }
        let last = segments.back().expect("one was pushed if there was none");
        let last_sequence = last.records.last().map(|record| record.sequence + 1);
        let running = dir.join(RUNNING_FILE);
        let was_killed = running.try_exists().unwrap_or(false);
        // Without the file a kill is not noticed; that is no reason not to run.
        drop(fs::write(&running, b""));
        Ok(Self {
            dir: dir.to_owned(),
            size_bytes_max,
            sender,
            next_sequence: last_sequence.unwrap_or(last.first_sequence),
            segments,
            acknowledged: 0,
            dropped: u64::from(was_killed),
            lost: u64::from(was_killed),
        })
    }

    /// Who sends from this spool.
    pub fn sender(&self) -> SenderId {
        self.sender
    }

    /// The number of the next batch.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Bytes on disk.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size_bytes).sum()
    }

    /// Windows that were dropped before the service had them, since this was last called.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Batches that wait.
    pub fn waiting(&self) -> u64 {
        let records = self.segments.iter().flat_map(|segment| &segment.records);
        records
            .filter(|record| self.acknowledged < record.sequence)
            .count() as u64
    }

    /// Takes the batch with the number [`Spool::next_sequence`], durably. With it `windows` windows
    /// would be lost: its own, and those that it says were lost before. Where there is no room the
    /// oldest batches are dropped.
    ///
    /// # Errors
    /// The batch was not taken: the disk has no room even without older batches, or cannot be used.
    pub fn append(&mut self, payload: &[u8], windows: u64) -> Result<u64, ShipError> {
        let size_bytes = record_size_bytes(payload.len() as u64);
        if self.size_bytes_max < size_bytes {
            return Err(ShipError::TooLarge { size_bytes });
        }
        while self.size_bytes_max < self.size_bytes() + size_bytes && self.drop_oldest() {}
        loop {
            match self.try_append(payload, windows) {
                Ok(sequence) => return Ok(sequence),
                Err(error) if !is_full(&error) => return Err(file_error(&self.dir, error)),
                Err(_full) if !self.drop_oldest() => return Err(ShipError::DiskFull),
                Err(_full) => {}
            }
        }
    }

    /// Writes the batch to the last segment, or to a new one when that is large enough.
    fn try_append(&mut self, payload: &[u8], windows: u64) -> io::Result<u64> {
        let sequence = self.next_sequence;
        let size_bytes_max = self.size_bytes_max;
        if self.last().is_large(size_bytes_max) {
            self.segments
                .push_back(Segment::create(&self.dir, sequence)?);
        }
        self.last().append(sequence, windows, payload)?;
        self.next_sequence += 1;
        Ok(sequence)
    }

    /// The segment that is written to.
    fn last(&mut self) -> &mut Segment {
        self.segments
            .back_mut()
            .expect("there is always a segment to write to")
    }

    /// Drops the oldest segment and counts what was not sent of it. `false` when it has nothing to
    /// drop.
    fn drop_oldest(&mut self) -> bool {
        if self.segments.len() == 1 {
            if self.last().records.is_empty() {
                return false;
            }
            // The number of the next batch must not be forgotten with the last file.
            let Ok(segment) = Segment::create(&self.dir, self.next_sequence) else {
                return false;
            };
            self.segments.push_back(segment);
        }
        let Some(oldest) = self.segments.pop_front() else {
            return false;
        };
        for record in &oldest.records {
            self.lose(record);
        }
        oldest.remove();
        true
    }

    /// The first batch after a number, with its number; `None` when there is none.
    ///
    /// # Errors
    /// [`ShipError::Damaged`], or a file that cannot be read.
    pub fn read_after(&self, sequence: u64) -> Result<Option<Waiting>, ShipError> {
        let found = (self.segments.iter())
            .flat_map(|segment| segment.records.iter().map(move |record| (segment, record)))
            .find(|(_segment, record)| sequence < record.sequence);
        found
            .map(|(segment, record)| Ok((record.sequence, segment.read(*record)?)))
            .transpose()
    }

    /// Batches up to a number are durable at the service, or given up.
    pub fn acknowledge(&mut self, sequence: u64) {
        self.acknowledged = self.acknowledged.max(sequence);
        // A service that knows later numbers of this sender counts no smaller ones.
        if self.next_sequence <= sequence && self.waiting() == 0 {
            self.next_sequence = sequence + 1;
        }
        while 1 < self.segments.len()
            && self.segments.front().is_some_and(|oldest| {
                (oldest.records.last()).is_none_or(|last| last.sequence <= self.acknowledged)
            })
        {
            if let Some(oldest) = self.segments.pop_front() {
                oldest.remove();
            }
        }
    }

    /// Gives up the batches up to a number, because the service will never take them.
    pub fn give_up(&mut self, sequence: u64) {
        let records = self.segments.iter().flat_map(|segment| &segment.records);
        let given_up: Vec<Record> = records
            .filter(|record| record.sequence <= sequence)
            .copied()
            .collect();
        for record in &given_up {
            self.lose(record);
        }
        self.acknowledge(sequence);
    }

    /// Counts a record that goes, if the service does not have it.
    fn lose(&mut self, record: &Record) {
        if self.acknowledged < record.sequence {
            self.dropped += record.windows;
            self.lost += 1;
        }
    }

    /// Windows dropped unsent since the spool was opened.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Counts a batch that could not be appended; `windows` as for [`Spool::append`].
    pub fn count_dropped(&mut self, windows: u64) {
        self.dropped += windows;
        self.lost += 1;
    }

    /// The daemon ends by itself: nothing is lost with it.
    pub fn close(&mut self) {
        drop(fs::remove_file(self.dir.join(RUNNING_FILE)));
    }
}

impl Segment {
    /// Whether the next batch goes into another file.
    fn is_large(&self, spool_size_bytes_max: u64) -> bool {
        let wanted = (spool_size_bytes_max / SEGMENTS_WANTED)
            .clamp(SEGMENT_SIZE_BYTES_MIN, SEGMENT_SIZE_BYTES_MAX);
        !self.records.is_empty() && wanted <= self.size_bytes
    }
}

/// Whether the disk, or this user's part of it, has no room.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// An error of a file.
fn file_error(path: &Path, source: io::Error) -> ShipError {
    ShipError::File {
        path: path.to_owned(),
        source,
    }
}

/// The id of this sender: 32 hexadecimal digits, made at random once.
fn read_or_make_sender(path: &Path) -> Result<SenderId, ShipError> {
    let known = fs::read_to_string(path).ok();
    if let Some(id) = known.and_then(|text| u128::from_str_radix(text.trim(), 16).ok()) {
        return Ok(SenderId(id));
    }
    let id = SenderId(rand::random());
    let beside = path.with_extension("new");
    fs::write(&beside, format!("{:032x}\n", id.0))
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|source| file_error(path, source))?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::Spool;

    const MIB: u64 = 1 << 20;

    fn open(dir: &Path) -> Spool {
        Spool::open(dir, MIB).unwrap()
    }

    /// Numbers and payloads of all batches.
    fn contents(spool: &Spool) -> Vec<(u64, Vec<u8>)> {
        let mut found: Vec<(u64, Vec<u8>)> = Vec::new();
        while let Some(batch) = spool
            .read_after(found.last().map_or(0, |(sequence, _)| *sequence))
            .unwrap()
        {
            found.push(batch);
        }
        found
    }

    #[test]
    fn batches_come_back_in_order_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path());
        let sender = spool.sender();
        for payload in [b"one".as_slice(), b"", b"three"] {
            spool.append(payload, 1).unwrap();
        }
        let spool = open(dir.path());
        let expected = vec![
            (1, b"one".to_vec()),
            (2, Vec::new()),
            (3, b"three".to_vec()),
        ];
        assert_eq!(expected, contents(&spool));
        assert_eq!((4, sender), (spool.next_sequence(), spool.sender()));
    }

    /// Killed in the middle of a write, at every byte of it.
    #[test]
    fn a_torn_write_takes_only_its_own_batch_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path());
        spool.append(b"first", 1).unwrap();
        let whole = spool.size_bytes();
        spool.append(b"second", 1).unwrap();
        let (end, file) = (
            spool.size_bytes(),
            dir.path().join("00000000000000000001.spool"),
        );
        let bytes = fs::read(&file).unwrap();
        assert_eq!(end, bytes.len() as u64);
        for length in 0..bytes.len() {
            fs::write(&file, &bytes[..length]).unwrap();
            let mut spool = open(dir.path());
            let kept = usize::from(whole <= length as u64);
            assert_eq!(kept, contents(&spool).len(), "cut at {length}");
            let sequence = spool.append(b"next", 1).unwrap();
            assert_eq!(kept as u64 + 1, sequence);
            assert_eq!(
                Some((sequence, b"next".to_vec())),
                contents(&open(dir.path())).pop()
            );
        }
        for index in whole..end {
            let mut damaged = bytes.clone();
            damaged[usize::try_from(index).unwrap()] ^= 0x10;
            fs::write(&file, &damaged).unwrap();
            assert_eq!(1, contents(&open(dir.path())).len(), "flipped at {index}");
        }
    }

    #[test]
    fn the_oldest_go_first_and_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path());
        let payload = vec![7; 10_000];
        for _ in 0..300 {
            spool.append(&payload, 1).unwrap();
            assert!(spool.size_bytes() <= MIB);
        }
        let kept = contents(&spool);
        let numbers: Vec<u64> = kept.iter().map(|(sequence, _)| *sequence).collect();
        let first = numbers[0];
        assert_eq!((first..=300).collect::<Vec<_>>(), numbers);
        assert!(90 <= numbers.len(), "{}", numbers.len());
        assert_eq!(first - 1, spool.take_dropped());
        assert_eq!(0, spool.take_dropped());
    }

    #[test]
    fn what_is_acknowledged_is_removed_and_numbers_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path());
        let payload = vec![7; 30_000];
        for _ in 0..20 {
            spool.append(&payload, 1).unwrap();
        }
        spool.acknowledge(20);
        assert!(spool.size_bytes() < 100_000, "{}", spool.size_bytes());
        assert_eq!((0, 0), (spool.waiting(), spool.take_dropped()));
        drop(spool);
        let mut spool = open(dir.path());
        assert_eq!(21, spool.next_sequence());
        spool.acknowledge(20);
        assert_eq!(0, spool.waiting());
        assert_eq!(21, spool.append(b"x", 1).unwrap());
    }

    #[test]
    fn a_service_that_knows_later_numbers_is_believed() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path());
        spool.acknowledge(41);
        assert_eq!(42, spool.append(b"x", 1).unwrap());
    }

    #[test]
    fn a_kill_is_counted_and_a_clean_end_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path());
        assert_eq!(0, spool.take_dropped());
        assert_eq!(1, open(dir.path()).take_dropped());
        spool.close();
        assert_eq!(0, open(dir.path()).take_dropped());
    }

    #[test]
    fn a_batch_larger_than_the_spool_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path());
        let payload = vec![0; usize::try_from(MIB).unwrap()];
        assert!(
            spool
                .append(&payload, 1)
                .unwrap_err()
                .to_string()
                .contains("larger")
        );
        assert_eq!(1, spool.append(b"small", 1).unwrap());
    }
}
