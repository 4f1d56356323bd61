//! A look at a request before it is decoded: an empty entry takes two bytes in a message and a
//! hundred in memory.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{OtlpError, limits::ENTRIES_MAX};
use crate::wire::framing;

/// A part of a request that holds others.
#[derive(Clone, Copy)]
enum Part {
    Request,
    ResourceProfiles,
    Resource,
    ScopeProfiles,
    Scope,
    Profile,
    Dictionary,
    Location,
    /// Holds parts that hold at most small ones; its own fields are counted.
    Flat,
}

/// Refuses a request with too many entries, without allocating for them.
pub(super) fn check_counts(message: &[u8]) -> Result<(), OtlpError> {
    count(message, Part::Request, &mut 0)
}

/// Counts the parts of a part. As deep as [`Part`]s nest.
fn count(bytes: &[u8], part: Part, entries: &mut usize) -> Result<(), OtlpError> {
    for field in framing::fields(bytes) {
        let field = field.map_err(|error| OtlpError::Framing {
            offset: error.offset,
        })?;
        *entries = entries.saturating_add(1);
        if ENTRIES_MAX < *entries {
            return Err(OtlpError::TooMany);
        }
        if let Some(inner) = inside(part, field.number) {
            count(field.payload, inner, entries)?;
        }
    }
    Ok(())
}

/// The part that a field holds.
fn inside(part: Part, field: u64) -> Option<Part> {
    Some(match (part, field) {
        (Part::Request, 1) => Part::ResourceProfiles,
        (Part::Request, 2) => Part::Dictionary,
        (Part::ResourceProfiles, 1) => Part::Resource,
        (Part::ResourceProfiles, 2) => Part::ScopeProfiles,
        (Part::ScopeProfiles, 1) => Part::Scope,
        (Part::ScopeProfiles, 2) => Part::Profile,
        (Part::Dictionary, 2) => Part::Location,
        (Part::Resource | Part::Scope | Part::Profile, _)
        | (Part::Dictionary, 1 | 3 | 4 | 6 | 7)
        | (Part::Location, 3) => Part::Flat,
        _ => return None,
    })
    // Fields of the kinds that are not messages have no payload to look into, or one whose bytes
    // must not be taken for a message.
    .filter(|inner| !matches!((part, field, inner), (Part::Profile, 7 | 9 | 10 | 11, _)))
}

#[cfg(test)]
mod tests {
    use super::{ENTRIES_MAX, OtlpError, check_counts};

    #[test]
    fn entries_are_bounded() {
        // The dictionary with empty strings.
        let strings = [0x2a, 0].repeat(ENTRIES_MAX);
        let mut message = vec![0x12];
        let mut length = strings.len();
        while 0x7f < length {
            message.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        message.push(u8::try_from(length).unwrap());
        message.extend(strings);
        let error = check_counts(&message).unwrap_err();
        assert!(matches!(error, OtlpError::TooMany));
    }
}
