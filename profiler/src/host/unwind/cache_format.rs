//! A table as a file of the cache holds it.
//!
//! ```text
//! 0   magic, 8 bytes
//! 8   xxh3 of everything from 16 on, 64 bits
//! 16  version
//! 20  number of rules
//! 24  number of rows
//! 28  size of the build id in bytes
//! 32  build id, 64 bytes, filled up with zeros
//! 96  rules, 16 bytes each, as the kernel contract defines them
//! …   rows, 8 bytes each: 48 bits of file offset, 16 of code
//! ```
//!
//! Numbers are little-endian.

use profiler_common::{
    ABI_VERSION,
    unwind_row::{CfaKind, RuleCode, SavedKind, UnwindRule, register},
};
use xxhash_rust::xxh3::xxh3_64;
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U32, U64},
};

use super::{
    CompileCounts, UnwindTable,
    limits::{FILE_OFFSET_MAX, ROWS_MAX, TABLE_RULES_MAX},
    table::PackedRow,
};
use crate::model::BuildId;

/// Begins every file.
pub(super) const MAGIC: [u8; 8] = *b"unwindtb";
/// What the file was written by: raised when the layout changes or the compiler says other things.
const FORMAT_VERSION: u32 = 2;
/// The rules are those of the kernel contract, so its version counts as well.
const VERSION: u32 = FORMAT_VERSION << 16 | ABI_VERSION;
const _: () = assert!(ABI_VERSION < 1 << 16);
/// Bytes before what the checksum covers.
const UNCHECKED_SIZE_BYTES: usize = 16;
const RULE_SIZE_BYTES: usize = size_of::<UnwindRule>();
const ROW_SIZE_BYTES: usize = 8;
/// The largest file that is read.
pub(super) const FILE_SIZE_BYTES_MAX: u64 =
    (size_of::<Header>() + TABLE_RULES_MAX * RULE_SIZE_BYTES + ROWS_MAX * ROW_SIZE_BYTES) as u64;

/// The front of a file.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    checksum: U64,
    version: U32,
    rule_count: U32,
    row_count: U32,
    id_size_bytes: U32,
    id: [u8; BuildId::SIZE_BYTES_MAX],
}

const _: () = assert!(size_of::<Header>() == 96);

/// Writes a table.
pub(super) fn encode(id: &BuildId, table: &UnwindTable) -> Vec<u8> {
    let rows = table.packed_rows();
    let mut header = header(id);
    header.rule_count = count(table.rules().len());
    header.row_count = count(rows.len());
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(table.rules().as_bytes());
    bytes.extend(rows.iter().flat_map(|row| row.0.to_le_bytes()));
    let checked = bytes.get(UNCHECKED_SIZE_BYTES..).unwrap_or_default();
    header.checksum = xxh3_64(checked).into();
    for (place, byte) in bytes.iter_mut().zip(header.as_bytes()) {
        *place = *byte;
    }
    bytes
}

/// Reads a table; `None` if anything about it is not as it should be.
pub(super) fn decode(bytes: &[u8], id: &BuildId) -> Option<UnwindTable> {
    let (found, rest) = Header::read_from_prefix(bytes).ok()?;
    let mut expected = header(id);
    expected.rule_count = found.rule_count;
    expected.row_count = found.row_count;
    expected.checksum = xxh3_64(bytes.get(UNCHECKED_SIZE_BYTES..)?).into();
    if found.as_bytes() != expected.as_bytes() {
        return None;
    }
    let rule_count = usize::try_from(found.rule_count.get()).ok()?;
    let row_count = usize::try_from(found.row_count.get()).ok()?;
    if rule_count > TABLE_RULES_MAX || row_count > ROWS_MAX {
        return None;
    }
    let (rules, rows) = rest.split_at_checked(rule_count.checked_mul(RULE_SIZE_BYTES)?)?;
    if rows.len() != row_count.checked_mul(ROW_SIZE_BYTES)? {
        return None;
    }
    let rules = decode_rules(rules)?;
    let rows = decode_rows(rows, rules.len())?;
    Some(UnwindTable::new(rules, rows, CompileCounts::default()))
}

/// The front of a file for an object, without what depends on its table.
fn header(id: &BuildId) -> Header {
    let mut padded = [0; BuildId::SIZE_BYTES_MAX];
    for (place, byte) in padded.iter_mut().zip(id.as_bytes()) {
        *place = *byte;
    }
    Header {
        magic: MAGIC,
        checksum: 0.into(),
        version: VERSION.into(),
        rule_count: 0.into(),
        row_count: 0.into(),
        id_size_bytes: count(id.as_bytes().len()),
        id: padded,
    }
}

/// A count as the header holds it; `limits.rs` keeps all of them far below 2^32.
fn count(items: usize) -> U32 {
    u32::try_from(items).unwrap_or(u32::MAX).into()
}

/// Reads rules that mean something.
fn decode_rules(bytes: &[u8]) -> Option<Vec<UnwindRule>> {
    let (chunks, _) = bytes.as_chunks::<RULE_SIZE_BYTES>();
    chunks
        .iter()
        .map(|chunk| UnwindRule::read_from_bytes(chunk).ok().filter(is_meant))
        .collect()
}

/// Whether a rule's codes are ones that the compiler writes.
fn is_meant(rule: &UnwindRule) -> bool {
    CfaKind::try_from(rule.cfa_kind).is_ok()
        && SavedKind::try_from(rule.rbp_kind).is_ok()
        && SavedKind::try_from(rule.rbx_kind).is_ok()
        && (rule.cfa_register < register::COUNT || rule.cfa_kind == CfaKind::DerefIndexed as u8)
}

/// Reads rows that are sorted and name rules that exist.
fn decode_rows(bytes: &[u8], rule_count: usize) -> Option<Vec<PackedRow>> {
    let (chunks, _) = bytes.as_chunks::<ROW_SIZE_BYTES>();
    let rows: Vec<PackedRow> = chunks
        .iter()
        .map(|chunk| PackedRow(u64::from_le_bytes(*chunk)))
        .collect();
    let is_sorted = rows.is_sorted_by(|one, next| one.file_offset() < next.file_offset());
    let is_near = rows
        .last()
        .is_none_or(|row| row.file_offset() <= FILE_OFFSET_MAX);
    let names_a_rule = |row: &PackedRow| match row.code() {
        RuleCode::Rule(number) => usize::from(number) < rule_count,
        RuleCode::EndOfStack
        | RuleCode::NoInfo
        | RuleCode::SignalFrame
        | RuleCode::FramePointer
        | RuleCode::Unsupported => true,
    };
    (is_sorted && is_near && rows.iter().all(names_a_rule)).then_some(rows)
}

#[cfg(test)]
mod tests {
    use profiler_common::unwind_row::{RuleCode, UnwindRule};
    use xxhash_rust::xxh3::xxh3_64;

    use super::{BuildId, CompileCounts, PackedRow, UnwindTable, decode, encode};

    fn id() -> BuildId {
        BuildId::new(&[7; 20]).unwrap()
    }

    fn encoded() -> Vec<u8> {
        let rows = vec![
            PackedRow::new(16, RuleCode::Rule(0)),
            PackedRow::new(32, RuleCode::NoInfo),
        ];
        let table = UnwindTable::new(vec![UnwindRule::default()], rows, CompileCounts::default());
        encode(&id(), &table)
    }

    /// Makes the checksum right again, so that what lies behind it is put to the test.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let checksum = xxh3_64(&bytes[16..]);
        bytes[8..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    #[test]
    fn a_file_with_a_right_checksum_may_still_make_no_sense() {
        assert!(decode(&sealed(encoded()), &id()).is_some());
        // Version, counts, id, a rule's kind and register, order of the rows, number of a rule.
        for (at, byte) in [
            (16, 9),
            (20, 2),
            (24, 9),
            (27, 0xff),
            (28, 19),
            (32, 8),
            (96, 4),
            (97, 16),
            (98, 3),
            (114, 40),
            (112, 1),
        ] {
            let mut bytes = encoded();
            assert_ne!(byte, bytes[at], "at {at}");
            bytes[at] = byte;
            assert!(decode(&sealed(bytes), &id()).is_none(), "at {at}");
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let bytes = encoded();
        for size_bytes in 0..bytes.len() {
            assert!(decode(&bytes[..size_bytes], &id()).is_none());
        }
        assert!(decode(&[bytes, vec![0]].concat(), &id()).is_none());
    }

    #[test]
    fn an_empty_table_is_kept_too() {
        let bytes = encode(&id(), &UnwindTable::default());
        assert_eq!(0, decode(&bytes, &id()).unwrap().rows().len());
    }
}
