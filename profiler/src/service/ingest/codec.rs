//! Messages as bytes: decoding is work for a thread that may take its time, after a look at the
//! sizes.

use std::marker::PhantomData;

use bytes::{Buf as _, Bytes};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstEncoder;

/// Takes bytes, answers with messages.
#[derive(Debug)]
pub(super) struct RawCodec<Answer>(PhantomData<Answer>);

/// Takes bytes as they are.
#[derive(Debug)]
pub(super) struct RawDecoder;

impl<Answer> Default for RawCodec<Answer> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<Answer: prost::Message + 'static> Codec for RawCodec<Answer> {
    type Encode = Answer;
    type Decode = Bytes;
    type Encoder = ProstEncoder<Answer>;
    type Decoder = RawDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        RawDecoder
    }
}

impl Decoder for RawDecoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
