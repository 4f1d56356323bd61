//! A look at a message before it is decoded: how long are its tables?

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use super::{ReadError, limits::ENTRIES_MAX};
use crate::wire::framing;

/// Refuses a message with a table longer than [`ENTRIES_MAX`], without allocating for it.
pub(super) fn check_counts(message: &[u8]) -> Result<(), ReadError> {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for field in framing::fields(message) {
        let field = field.map_err(|error| ReadError::Framing {
            offset: error.offset,
        })?;
        let count = counts.entry(field.number).or_default();
        *count = count.saturating_add(1);
        if *count > ENTRIES_MAX {
            return Err(ReadError::Entries {
                field: field.number,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::ReadError, ENTRIES_MAX, check_counts};

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
