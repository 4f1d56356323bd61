//! The messages, by their numbers.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use prost::{DecodeError, Message};

use super::limits::PARTS_MAX;
use crate::wire::framing;

/// What is pushed at once.
#[derive(Clone, Message, PartialEq)]
pub struct PushRequest {
    /// Profiles that share labels.
    #[prost(message, repeated, tag = "1")]
    pub series: Vec<RawProfileSeries>,
}

/// Profiles that share labels.
#[derive(Clone, Message, PartialEq)]
pub struct RawProfileSeries {
    /// What they share.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<LabelPair>,
    /// The profiles.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<RawSample>,
}

/// One label.
#[derive(Clone, Message, PartialEq)]
pub struct LabelPair {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// One profile.
#[derive(Clone, Message, PartialEq)]
pub struct RawSample {
    /// A pprof file, gzipped or not.
    #[prost(bytes = "vec", tag = "1")]
    pub raw_profile: Vec<u8>,
    /// The client's own name for it.
    #[prost(string, tag = "2")]
    pub id: String,
}

/// Decodes a push, after a look at how many parts it has.
///
/// # Errors
/// It is no such message, or has too many parts.
pub fn decode_push(bytes: &[u8]) -> Result<PushRequest, DecodeError> {
    let parts = framing::fields(bytes)
        .map_while(Result::ok)
        .flat_map(|series| framing::fields(series.payload).map_while(Result::ok))
        .take(PARTS_MAX);
    let series = framing::fields(bytes).take(PARTS_MAX).count();
    if PARTS_MAX <= series || PARTS_MAX <= parts.count() {
        // Decoding a field that cannot be makes an error of the decoder's own kind.
        return Err(PushRequest::decode(&[0xff][..]).expect_err("a cut varint is no message"));
    }
    PushRequest::decode(bytes)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::{PARTS_MAX, PushRequest, RawProfileSeries, decode_push};

    #[test]
    fn parts_are_bounded() {
        let push = |count| {
            let series = vec![RawProfileSeries::default(); count];
            PushRequest { series }.encode_to_vec()
        };
        assert_eq!(5, decode_push(&push(5)).unwrap().series.len());
        decode_push(&push(PARTS_MAX)).unwrap_err();
        decode_push(b"\xff\xff").unwrap_err();
    }
}
