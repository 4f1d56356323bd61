//! A look at a message before it is decoded: how long are its tables?

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use super::{ReadError, limits::ENTRIES_MAX};

/// Refuses a message with a table longer than [`ENTRIES_MAX`], without allocating for it.
pub(super) fn check_counts(message: &[u8]) -> Result<(), ReadError> {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    let mut rest = message;
    while !rest.is_empty() {
        let offset = message.len().saturating_sub(rest.len());
        let (field, after) = skip_field(rest).ok_or(ReadError::Framing { offset })?;
        rest = after;
        let count = counts.entry(field).or_default();
        *count = count.saturating_add(1);
        if *count > ENTRIES_MAX {
            return Err(ReadError::Entries { field });
        }
    }
    Ok(())
}

/// Number of the first field, and what follows it.
fn skip_field(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (tag, rest) = varint(bytes)?;
    let rest = match tag & 7 {
        0 => varint(rest)?.1,
        1 => rest.get(8..)?,
        2 => {
            let (length, rest) = varint(rest)?;
            rest.get(usize::try_from(length).ok()?..)?
        }
        5 => rest.get(4..)?,
        _ => return None,
    };
    Some((tag >> 3, rest))
}

/// A number of 7 bits a byte, least significant first, and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (shift, byte) in (0..64).step_by(7).zip(bytes) {
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let length = usize::try_from(shift / 7).ok()?.checked_add(1)?;
            return Some((value, bytes.get(length..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{super::ReadError, ENTRIES_MAX, check_counts, varint};

    #[test]
    fn varints_end_where_they_should() {
        assert_eq!(Some((300, &[7][..])), varint(&[0xac, 0x02, 7]));
        assert_eq!(None, varint(&[0x80, 0x80]));
        assert_eq!(None, varint(&[0xff; 11]));
    }

    #[test]
    fn a_table_may_be_as_long_as_the_limit_and_no_longer() {
        // Field 2, empty entry: two bytes.
        let message = [0x12, 0].repeat(ENTRIES_MAX + 1);
        check_counts(&message[2..]).unwrap();
        let error = check_counts(&message).unwrap_err();
        assert!(matches!(error, ReadError::Entries { field: 2 }));
    }

    #[test]
    fn a_cut_message_says_where() {
        let error = check_counts(&[0x12, 0, 0x12, 5, 1]).unwrap_err();
        assert!(matches!(error, ReadError::Framing { offset: 2 }));
    }
}
