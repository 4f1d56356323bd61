//! A look at a message before it is decoded: an empty entry takes two bytes in a message and a
//! hundred in memory, so tables are counted first.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::HashMap;

use prost::Message as _;

use super::{DecodeError, Table, generated::IngestRequest, limits::MESSAGE_SIZE_BYTES_MAX};
use crate::wire::framing;

/// What may stand in a part of a message.
#[derive(Clone, Copy)]
enum Part {
    Request,
    Batch,
    Frame,
    Window,
    Series,
    Quality,
    /// Nothing in it is a table of its own.
    Leaf,
}

/// Decodes a message of the ingest stream.
///
/// # Errors
/// It is too large, its tables are too long, or it is no such message. What is allocated before
/// that is known is bounded by the lengths of the tables.
pub fn decode_request(bytes: &[u8]) -> Result<IngestRequest, DecodeError> {
    let found_bytes = bytes.len();
    if MESSAGE_SIZE_BYTES_MAX < found_bytes {
        return Err(DecodeError::TooLarge { found_bytes });
    }
    count(bytes, Part::Request, &mut HashMap::new())?;
    IngestRequest::decode(bytes).map_err(DecodeError::Message)
}

/// Counts the entries of a part and of all that is in it. As deep as [`Part`]s nest.
fn count(bytes: &[u8], part: Part, counts: &mut HashMap<Table, usize>) -> Result<(), DecodeError> {
    for field in framing::fields(bytes) {
        let field = field.map_err(|error| DecodeError::Framing {
            offset: error.offset,
        })?;
        let Some((table, inner)) = inside(part, field.number) else {
            continue;
        };
        if let Some((table, most)) = table {
            let count = counts.entry(table).or_default();
            *count = count.saturating_add(1);
            if most < *count {
                return Err(DecodeError::TooMany { table });
            }
        }
        if !matches!(inner, Part::Leaf) {
            count(field.payload, inner, counts)?;
        }
    }
    Ok(())
}

/// A table and its bound in a whole message.
type Bound = (Table, usize);

/// A table with its bound in a whole message, if a field is one, and the part that the field holds.
fn inside(part: Part, field: u64) -> Option<(Option<Bound>, Part)> {
    let whole = |table: Table| Some((table, table.entries_max()));
    // Bounded in each window; here only so that a message of nothing else stays small.
    let in_windows = |table: Table| Some((table, Table::Series.entries_max()));
    Some(match (part, field) {
        (Part::Request, 2) => (None, Part::Batch),
        (Part::Batch, 2) => (whole(Table::Strings), Part::Leaf),
        (Part::Batch, 3) => (whole(Table::Objects), Part::Leaf),
        (Part::Batch, 4) => (whole(Table::Frames), Part::Frame),
        (Part::Batch, 5) => (whole(Table::Stacks), Part::Leaf),
        (Part::Batch, 6) => (whole(Table::Windows), Part::Window),
        (Part::Frame, 5) => (whole(Table::Lines), Part::Leaf),
        (Part::Window, 4) => (in_windows(Table::ValueTypes), Part::Leaf),
        (Part::Window, 6) => (whole(Table::Series), Part::Series),
        (Part::Window, 7) => (None, Part::Quality),
        (Part::Quality, 3 | 5) => (in_windows(Table::Causes), Part::Leaf),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::{DecodeError, Table, decode_request};
    use crate::wire::v1::generated::{
        Batch, FrameDefinition, IngestRequest, Line, Series, Window, ingest_request::Message,
    };

    /// Bytes of a request with a batch.
    fn bytes(batch: Batch) -> Vec<u8> {
        let message = Some(Message::Batch(batch));
        IngestRequest { message }.encode_to_vec()
    }

    /// Checks that a table may be as long as its bound, and no longer.
    #[track_caller]
    fn check(table: Table, batch: impl Fn(usize) -> Batch) {
        let most = table.entries_max();
        decode_request(&bytes(batch(most))).unwrap();
        let error = decode_request(&bytes(batch(most.saturating_add(1)))).unwrap_err();
        assert!(matches!(error, DecodeError::TooMany { table: found } if found == table));
    }

    #[test]
    fn tables_of_a_batch_are_counted() {
        check(Table::Strings, |count| Batch {
            strings: vec![String::new(); count],
            ..Batch::default()
        });
        check(Table::Frames, |count| Batch {
            frames: vec![FrameDefinition::default(); count],
            ..Batch::default()
        });
    }

    #[test]
    fn tables_in_tables_are_counted_over_the_whole_batch() {
        check(Table::Series, |count| Batch {
            windows: [count / 2, count - count / 2]
                .map(|count| Window {
                    series: vec![Series::default(); count],
                    ..Window::default()
                })
                .to_vec(),
            ..Batch::default()
        });
        check(Table::Lines, |count| Batch {
            frames: vec![FrameDefinition {
                lines: vec![Line::default(); count],
                ..FrameDefinition::default()
            }],
            ..Batch::default()
        });
    }

    #[test]
    fn a_batch_in_two_parts_is_counted_as_one() {
        // Parts of a message that comes twice are put together by the decoder.
        let half = bytes(Batch {
            strings: vec![String::new(); Table::Strings.entries_max() / 2 + 1],
            ..Batch::default()
        });
        decode_request(&half).unwrap();
        decode_request(&[half.clone(), half].concat()).unwrap_err();
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [&[0x12, 5, 1][..], &[0xff; 20], b"GET / HTTP/1.1"] {
            decode_request(bytes).unwrap_err();
        }
    }
}
