//! Records of the kernel about processes: fork, exec, mapped code, exit.
//!
//! Layout: `perf_event_open(2)`, "MMAP layout".

use std::time::Duration;

use super::DecodeError;
use crate::model::{Avma, BuildId, Event, FileOffset, Inode, MappedFile, NewMapping, Pid, Tid};

/// `PERF_RECORD_LOST`
const LOST: u32 = 2;
/// `PERF_RECORD_COMM`
const COMM: u32 = 3;
/// `PERF_RECORD_EXIT`
const EXIT: u32 = 4;
/// `PERF_RECORD_FORK`
const FORK: u32 = 7;
/// `PERF_RECORD_MMAP2`
const MMAP2: u32 = 10;
/// `PERF_RECORD_MISC_COMM_EXEC`: the name changed because of an exec.
const MISC_COMM_EXEC: u16 = 1 << 13;
/// `PERF_RECORD_MISC_MMAP_BUILD_ID`: a build id stands in for device and inode.
const MISC_BUILD_ID: u16 = 1 << 14;
/// `PROT_EXEC`
const PROT_EXEC: u32 = 4;
/// Bytes of build id that the record has room for.
const BUILD_ID_SIZE_BYTES_MAX: usize = 20;

/// Reads fixed-size fields off the front of a record.
struct Fields<'a> {
    rest: &'a [u8],
    short: DecodeError,
}

impl<'a> Fields<'a> {
    /// The next `N` bytes.
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (field, rest) = self.rest.split_first_chunk::<N>().ok_or(self.short)?;
        self.rest = rest;
        Ok(*field)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.bytes().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        self.bytes().map(u64::from_ne_bytes)
    }

    /// Text up to the first zero.
    fn text(&self) -> &'a [u8] {
        self.rest
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default()
    }
}

/// When the record was written, on the monotonic clock: its last eight bytes, because the event
/// asks for `sample_id_all` with the time last.
pub(super) fn record_time(record: &[u8]) -> Duration {
    record.last_chunk::<8>().map_or(Duration::ZERO, |time| {
        Duration::from_nanos(u64::from_ne_bytes(*time))
    })
}

/// Reads one record; `None` for kinds that say nothing about processes or code.
///
/// # Errors
/// The first thing found wrong.
pub fn decode_process_record(record: &[u8]) -> Result<Option<Event>, DecodeError> {
    let mut fields = Fields {
        rest: record,
        short: DecodeError::Short {
            found_bytes: record.len(),
        },
    };
    let kind = fields.u32()?;
    let misc = u16::from_ne_bytes(fields.bytes()?);
    let _size = fields.bytes::<2>()?;
    match kind {
        LOST => {
            let _id = fields.u64()?;
            Ok(Some(Event::ProcessRecordsLost {
                count: fields.u64()?,
            }))
        }
        COMM => {
            let pid = Pid(fields.u32()?);
            Ok((misc & MISC_COMM_EXEC != 0).then_some(Event::Executed { pid }))
        }
        FORK => {
            let (child, parent) = (Pid(fields.u32()?), Pid(fields.u32()?));
            Ok(Some(Event::Forked { parent, child }))
        }
        EXIT => {
            let (pid, _parent) = (Pid(fields.u32()?), fields.u32()?);
            Ok(Some(Event::Exited {
                pid,
                tid: Tid(fields.u32()?),
            }))
        }
        MMAP2 => decode_mapping(fields, misc),
        _ => Ok(None),
    }
}

/// A mapping; `None` for one that holds no code.
fn decode_mapping(mut fields: Fields<'_>, misc: u16) -> Result<Option<Event>, DecodeError> {
    let pid = Pid(fields.u32()?);
    let _tid = fields.u32()?;
    let start = fields.u64()?;
    let length = fields.u64()?;
    let file_offset = FileOffset(fields.u64()?);
    let identity = fields.bytes::<24>()?;
    let protection = fields.u32()?;
    let _flags = fields.u32()?;
    // A process id of all ones marks the kernel's own code.
    if protection & PROT_EXEC == 0 || pid.0 == u32::MAX {
        return Ok(None);
    }
    Ok(Some(Event::Mapped(NewMapping {
        pid,
        start: Avma(start),
        end: Avma(start.saturating_add(length)),
        file_offset,
        file: decode_file(identity, misc),
        path: String::from_utf8_lossy(fields.text()).into_owned(),
    })))
}

/// What identifies the mapped file: either of two layouts.
fn decode_file(identity: [u8; 24], misc: u16) -> MappedFile {
    let [size, _, _, _, build_id @ ..] = identity;
    if misc & MISC_BUILD_ID != 0 {
        let size = usize::from(size).min(BUILD_ID_SIZE_BYTES_MAX);
        if let Some(build_id) = build_id.get(..size).and_then(BuildId::new) {
            return MappedFile::BuildId(build_id);
        }
        return MappedFile::Inode(Inode::default());
    }
    let (words, _rest) = identity.as_chunks::<4>();
    let word = |index: usize| words.get(index).copied().map_or(0, u32::from_ne_bytes);
    MappedFile::Inode(Inode {
        device_major: word(0),
        device_minor: word(1),
        number: u64::from(word(3)) << 32 | u64::from(word(2)),
    })
}

#[cfg(test)]
mod tests {
    use super::{Event, MISC_BUILD_ID, MISC_COMM_EXEC, decode_process_record};
    use crate::model::{Inode, MappedFile, Pid};

    /// A record from its kind, flags and body.
    fn record(kind: u32, misc: u16, body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        let size = u16::try_from(body.len().saturating_add(8)).unwrap();
        [
            &kind.to_ne_bytes()[..],
            &misc.to_ne_bytes(),
            &size.to_ne_bytes(),
            &body,
        ]
        .concat()
    }

    /// A mapping record with the given identity.
    fn mapping(misc: u16, identity: [u8; 24], protection: u32) -> Vec<u8> {
        let body: [&[u8]; 9] = [
            &7_u32.to_ne_bytes(),
            &8_u32.to_ne_bytes(),
            &0x40_0000_u64.to_ne_bytes(),
            &0x1000_u64.to_ne_bytes(),
            &0x2000_u64.to_ne_bytes(),
            &identity,
            &protection.to_ne_bytes(),
            &2_u32.to_ne_bytes(),
            b"/bin/true\0\0\0\0\0\0\0",
        ];
        record(super::MMAP2, misc, &body)
    }

    #[test]
    fn reads_a_mapping_with_a_build_id() {
        let mut identity = [0; 24];
        identity[0] = 4;
        identity[4..8].copy_from_slice(&[1, 2, 3, 4]);
        let event = decode_process_record(&mapping(MISC_BUILD_ID, identity, 5)).unwrap();
        let Some(Event::Mapped(mapping)) = event else {
            panic!("{event:?}")
        };
        assert_eq!("/bin/true", mapping.path);
        let MappedFile::BuildId(id) = mapping.file else {
            panic!("{:?}", mapping.file)
        };
        assert_eq!("01020304", id.to_string());
    }

    #[test]
    fn reads_a_mapping_with_an_inode() {
        let identity: Vec<u8> = [8_u32, 1, 99, 0, 0, 0]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        let event = decode_process_record(&mapping(0, identity.try_into().unwrap(), 5)).unwrap();
        let Some(Event::Mapped(mapping)) = event else {
            panic!("{event:?}")
        };
        let inode = Inode {
            device_major: 8,
            device_minor: 1,
            number: 99,
        };
        assert_eq!(MappedFile::Inode(inode), mapping.file);
    }

    #[test]
    fn leaves_data_mappings_and_renames_out() {
        assert_eq!(Ok(None), decode_process_record(&mapping(0, [0; 24], 1)));
        let rename = [
            &3_u32.to_ne_bytes()[..],
            &3_u32.to_ne_bytes(),
            b"name\0\0\0\0",
        ];
        assert_eq!(Ok(None), decode_process_record(&record(3, 0, &rename)));
        let executed = Event::Executed { pid: Pid(3) };
        assert_eq!(
            Ok(Some(executed)),
            decode_process_record(&record(3, MISC_COMM_EXEC, &rename))
        );
    }

    #[test]
    fn rejects_a_mapping_cut_in_its_fields() {
        let whole = mapping(0, [0; 24], 5);
        for length in 0..60 {
            assert!(
                decode_process_record(&whole[..length]).is_err(),
                "cut to {length} bytes"
            );
        }
    }
}
