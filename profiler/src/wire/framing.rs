//! Protobuf's framing: the fields of a message, without decoding or allocating.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// One field of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Field<'a> {
    /// Its number.
    pub(super) number: u64,
    /// The bytes of a string, a message or a packed list; empty for a number.
    pub(super) payload: &'a [u8],
}

/// The bytes are not protobuf from here on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct FramingError {
    /// Bytes from the start of the message.
    pub(super) offset: usize,
}

/// The fields of a message, one after the other. Ends after the first error.
pub(super) fn fields(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>, FramingError>> {
    let mut rest = Some(message);
    std::iter::from_fn(move || {
        let bytes = rest.take().filter(|bytes| !bytes.is_empty())?;
        let Some((field, after)) = split(bytes) else {
            let offset = message.len().saturating_sub(bytes.len());
            return Some(Err(FramingError { offset }));
        };
        rest = Some(after);
        Some(Ok(field))
    })
}

/// The first field, and what follows it.
fn split(bytes: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (tag, rest) = varint(bytes)?;
    let (payload, rest): (&[u8], _) = match tag & 7 {
        0 => (&[], varint(rest)?.1),
        1 => (&[], rest.get(8..)?),
        2 => {
            let (length, rest) = varint(rest)?;
            rest.split_at_checked(usize::try_from(length).ok()?)?
        }
        5 => (&[], rest.get(4..)?),
        _ => return None,
    };
    let number = tag >> 3;
    Some((Field { number, payload }, rest))
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
    use super::{Field, FramingError, fields, varint};

    #[test]
    fn varints_end_where_they_should() {
        assert_eq!(Some((300, &[7][..])), varint(&[0xac, 0x02, 7]));
        assert_eq!(None, varint(&[0x80, 0x80]));
        assert_eq!(None, varint(&[0xff; 11]));
    }

    #[test]
    fn fields_come_in_order_and_an_error_ends_them() {
        let found: Vec<_> = fields(&[0x12, 1, 7, 0x08, 3, 0x12, 5, 1]).collect();
        let field = |number, payload| Ok(Field { number, payload });
        let cut = Err(FramingError { offset: 5 });
        assert_eq!(vec![field(2, &[7][..]), field(1, &[]), cut], found);
    }
}
