//! Bytes of a file that others read at the same time.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt as _,
};

use ::object::ReadCache;

/// A place of its own in a file: one that is shared has one place for all who seek in it.
#[derive(Debug)]
pub struct FileReader<'f> {
    file: &'f File,
    position: u64,
}

/// The bytes of an open file, read as they are asked for; others may read the same file.
pub fn shared_bytes(file: &File) -> ReadCache<FileReader<'_>> {
    ReadCache::new(FileReader { file, position: 0 })
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.position)?;
        self.position = self.position.saturating_add(count as u64);
        Ok(count)
    }
}

impl Seek for FileReader<'_> {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let position = match target {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
            SeekFrom::End(distance) => self.file.metadata()?.len().checked_add_signed(distance),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, thread};

    use super::shared_bytes;
    use crate::host::object::Object;

    /// Two that read one open file at once each see it as it is.
    #[test]
    fn readers_of_one_file_do_not_disturb_each_other() {
        let file = File::open("/proc/self/exe").unwrap();
        let build_id = |file| Object::parse(&shared_bytes(file)).unwrap().build_id();
        let known = build_id(&file);
        assert!(known.is_some(), "this program has a build id");
        thread::scope(|scope| {
            for _reader in 0..4 {
                scope.spawn(|| {
                    for _turn in 0..500 {
                        assert_eq!(known, build_id(&file));
                    }
                });
            }
        });
    }
}
